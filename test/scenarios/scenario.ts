import * as path from "node:path";
import { CliStack } from "../engine/cli-stack";
import { type Lab, type LabOptions, labDrift, labReset, labUp } from "../lab";
import { Operator } from "../operator/operator";
import { type AnyStack, Stack } from "../operator/stack";
import { type ChangeOptions, type Oracle, startOracle, type WatchOptions } from "../oracle";
import { testFull } from "../setup/skip";
import { type Profile, profiles } from "./profiles";

/** The profile of a scenario's lab, and who sends all the time while the scenario runs. */
export interface Setting extends Partial<LabOptions> {
  /** Pods that begin connections all the time and hold some; all unless given. Whatever they send is judged by its source. */
  readonly senders?: readonly string[];
  /** Their connections must not break either, but while something changes. */
  readonly unbroken?: true;
  /** How often each pod begins something new. */
  readonly intervalMs?: number;
  /** What the scenario itself leaves on nodes, as a reset takes it back: lines that match are no residue. */
  readonly leaves?: RegExp;
  /** What the scenario itself makes the oracle find: sentences that match are no failure. */
  readonly excuses?: RegExp;
  /** `mini`: never by the real CLI, since it looks into the run, or has hundreds of them. */
  readonly engine?: "mini";
  /** For the long ones of the long matrix. */
  readonly timeoutMs?: number;
}

export interface ShowOptions extends ChangeOptions {
  /** The addresses that the pods show afterwards: none, nothing may leave. Left out: what they show where nothing is programmed. */
  readonly to?: readonly string[];
}

/** What a scenario works with. */
export interface Scene {
  readonly lab: Lab;
  /** One operator process; a second run at the same time is another `Operator.start(lab)`. */
  readonly operator: Operator;
  readonly stack: AnyStack;
  /** Watches from before the body to after it. What it finds wrong fails the scenario. */
  readonly oracle: Oracle;
  /** Does something that changes which address these pods show: until it is done they may show the old or the new one, then only the new one. */
  change(pods: readonly string[], act: () => Promise<unknown>, options?: ShowOptions): Promise<void>;
}

type Body = (scene: Scene) => Promise<void>;

/**
 * One scenario as one jest test: a lab of this profile that stays up between scenarios, reset before and checked after.
 * The body leaves nothing on any node; what it leaves is the failure.
 * `run` says whether it is of every run or of the long matrix only; left out, its file does (EVERY_RUN).
 */
export function scenario(name: string, setting: Setting, body: Body, run?: typeof testFull): void {
  const { senders: _, intervalMs: __, unbroken, leaves, excuses, engine, timeoutMs, ...options } = setting;
  const file = path.basename(expect.getState().testPath ?? "");
  const isMini = engine === "mini" || process.env.EGW_ENGINE === "mini";
  const isByCli = !isMini && (process.env.EGW_FULL === "1" || BY_CLI.test(file));
  const once = async (): Promise<void> => {
    const lab = await labUp({ name: labName(options), ...options });
    await labReset(lab);
    const operator = Operator.start(lab);
    const cli = isByCli ? new CliStack(lab) : undefined;
    const oracle = await startOracle(lab, sendersOf(lab, setting));
    try {
      await body({ lab, operator, oracle, stack: cli ?? new Stack(operator), change: changeOf(lab, oracle) });
      const { failures: found, brokenOutsideChanges: broken, pcaps } = await oracle.stop();
      const failures = found.filter((failure) => !excuses?.test(failure));
      const brokenOutsideChanges = unbroken ? withoutLost(broken) : [];
      const left = { failures, brokenOutsideChanges, ...(failures.length > 0 ? { pcaps } : {}) };
      expect(left).toEqual({ failures: [], brokenOutsideChanges: [] });
      for (const { name: node } of lab.nodes) {
        expect({ node, left: await residue(lab, node, leaves) }).toEqual({ node, left: [] });
      }
    } finally {
      await Promise.all([operator.stop(), oracle.stop()]);
      cli?.remove();
    }
  };
  (run ?? (EVERY_RUN.test(file) ? test : testFull))(name, once, timeoutMs);
}

/**
 * With programs a few datagrams may be lost: a device that gets its first filter, or loses its last, stands still for a millisecond,
 * for pods that nobody selects too.
 */
function withoutLost(broken: readonly string[]): readonly string[] {
  const others = broken.filter((one) => !/^\S+ udp .*: timeout;/.test(one));
  const lost = broken.length - others.length;
  return process.env.EGW_DATAPATH === "bpf" && lost <= MOST_LOST ? others : broken;
}

const MOST_LOST = 5;

function sendersOf(lab: Lab, { senders, unbroken, intervalMs }: Setting): WatchOptions {
  const pods = senders ?? lab.pods.map(({ name }) => name);
  const interval = intervalMs ?? (unbroken ? undefined : BESIDES_MS);
  return { pods, ...(interval === undefined ? {} : { intervalMs: interval }) };
}

/** How often a pod begins something new beside what a scenario is about. */
const BESIDES_MS = 250;

/** The scenarios of every run, by the number of their file; all others are the long matrix's, unless they say so themselves. */
const EVERY_RUN = /^(01|02|03|09|11|12|13|20|23|34|35|41|43|50|52|53|57-failing|60-round|60-address|70)(-|\.)/;

/** Those that the real CLI runs also in every run; in the long matrix it runs all, but for `engine: "mini"`. */
const BY_CLI = /^(01|13|41)-/;

/** The same scenario on every profile: on these in each run, on all others in the long matrix. */
export function scenarioOnProfiles(name: string, quick: readonly Profile[], setting: Setting, body: Body): void {
  for (const { cni, masq } of profiles) {
    const isQuick = quick.some((profile) => profile.cni === cni && profile.masq === masq);
    scenario(`${name} (${cni}, ${masq})`, { ...setting, cni, masq }, body, isQuick ? test : testFull);
  }
}

/** What a pod shows the outside where nothing is programmed. */
export function usualSource(lab: Lab, name: string): string {
  const pod = lab.pods.find((one) => one.name === name);
  const node = lab.nodes.find((one) => one.name === pod?.node);
  if (!pod || !node) throw new Error(`no pod ${name}`);
  return lab.options.masq === "none" ? pod.address : node.underlayIP;
}

/** The addresses of pods, by name. */
export function addressesOf(lab: Lab, names: readonly string[]): string[] {
  return names.map((name) => {
    const pod = lab.pods.find((one) => one.name === name);
    if (!pod) throw new Error(`no pod ${name}`);
    return pod.address;
  });
}

async function residue(lab: Lab, node: string, leaves?: RegExp): Promise<string[]> {
  const lines = (await labDrift(lab, node)).split("\n").filter((line) => line !== "");
  return leaves === undefined ? lines : lines.filter((line) => line.startsWith(" ") && !leaves.test(line));
}

function changeOf(lab: Lab, oracle: Oracle): Scene["change"] {
  return async (pods, act, { to, ...options } = {}) => {
    const begun = pods.map((pod) => oracle.changing(pod, to ?? [usualSource(lab, pod)], options));
    await act();
    for (const change of begun) change.done();
  };
}

/** Labs of other profiles, of jest's other workers and of other runs stand beside each other; `npm test` takes its own down at its end. */
function labName({ cni = "routes", masq = "masquerade", mtu = 1500 }: Partial<LabOptions>): string {
  return `${process.env.EGW_LAB_PREFIX ?? "t"}${process.env.JEST_WORKER_ID ?? 1}${cni.slice(0, 2)}${masq.slice(0, 2)}${mtu}`;
}
