import { maxClients, maxGateways } from "./address-plan";

export const cniProfiles = ["routes", "overlay", "bridge"] as const;
export const masqProfiles = ["masquerade", "snat", "none"] as const;

export type CniProfile = (typeof cniProfiles)[number];
export type MasqProfile = (typeof masqProfiles)[number];

export interface LabOptions {
  readonly name: string;
  readonly clients: number;
  readonly gateways: number;
  /** How pods of different nodes reach each other. */
  readonly cni: CniProfile;
  /** What a node does with the source of a pod's packet that leaves the cluster. */
  readonly masq: MasqProfile;
  /** MTU of the nodes' network and of all that lies beyond it. */
  readonly mtu: number;
}

export const defaultOptions: LabOptions = {
  name: "lab",
  clients: 2,
  gateways: 2,
  cni: "routes",
  masq: "masquerade",
  mtu: 1500,
};

/** Fills in defaults and throws one error that names every bad option. */
export function completeOptions(given: Partial<LabOptions>): LabOptions {
  const options = { ...defaultOptions, ...given };
  const problems = problemsOf(options);
  if (problems.length > 0) throw new Error(problems.join("\n"));
  return options;
}

/** The name of a lab is part of namespace names, and stays free of hyphens so that none is a prefix of another's. */
export function nameProblems(name: string): string[] {
  return /^[a-z][a-z0-9]{0,15}$/.test(name)
    ? []
    : [`name: ${JSON.stringify(name)} must be 1 to 16 lower-case letters and digits, a letter first`];
}

function problemsOf(options: LabOptions): string[] {
  return [
    ...nameProblems(options.name),
    ...rangeProblems("clients", options.clients, 1, maxClients),
    ...rangeProblems("gateways", options.gateways, 1, maxGateways),
    ...rangeProblems("mtu", options.mtu, 1280, 9000),
    ...choiceProblems("cni", options.cni, cniProfiles),
    ...choiceProblems("masq", options.masq, masqProfiles),
  ];
}

function rangeProblems(path: string, value: number, least: number, most: number): string[] {
  const fits = Number.isInteger(value) && value >= least && value <= most;
  return fits ? [] : [`${path}: ${value} must be a whole number from ${least} to ${most}`];
}

function choiceProblems(path: string, value: string, choices: readonly string[]): string[] {
  return choices.includes(value) ? [] : [`${path}: ${JSON.stringify(value)} must be one of ${choices.join(", ")}`];
}
