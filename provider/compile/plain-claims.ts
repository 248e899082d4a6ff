import { parseAddress, parseNetwork } from "../model/address";
import type { Claim, FormerSelection } from "../model/claim";
import { isDeviceName } from "../model/rules/names";

/** Values that are all to be of one form. They may come from a file on a node, so their types are not taken for granted. */
interface Form {
  readonly noun: string;
  readonly fits: (value: unknown) => boolean;
  readonly values: readonly unknown[];
}

const textForm =
  (noun: string, fits: (text: string) => boolean) =>
  (values: readonly unknown[]): Form => ({
    noun,
    fits: (value) => typeof value === "string" && fits(value),
    values,
  });
const numbers = (values: readonly unknown[]): Form => ({
  noun: "a whole number",
  fits: Number.isSafeInteger,
  values,
});
const addresses = textForm("an IPv4 address", (text) => parseAddress(text) !== undefined);
const networks = textForm("an IPv4 network", (text) => parseNetwork(text) !== undefined);
const devices = textForm("the name of a network device", isDeviceName);

/** Claims, and lists of them: the sources of a large policy are in several claims that differ in something else. */
const accepted = new WeakSet<object>();

/**
 * All of a claim that is to become text of kernel objects or of cuts is plain: numbers, addresses, networks, names of devices.
 * Whoever wrote it, nothing else passes here, so nothing else becomes a rule or a command.
 * @throws Error naming the claim and the first value that is not.
 */
export function requirePlain(claim: Claim): void {
  if (accepted.has(claim)) return;
  for (const form of formsOf(claim)) requireForm(form, `claim ${claim.owner.id}`);
  accepted.add(claim);
}

/** The same for the routing tables that a node remembers. */
export function requirePlainTables(tables: Readonly<Record<string, unknown>>): void {
  requireForm(numbers(Object.values(tables)), "routing tables");
}

function requireForm({ noun, fits, values }: Form, where: string): void {
  if (accepted.has(values)) return;
  for (const value of values)
    if (!fits(value)) throw new Error(`${where}: ${JSON.stringify(value)} is not ${noun}, so nothing is made of it`);
  accepted.add(values);
}

function formsOf(claim: Claim): Form[] {
  switch (claim.kind) {
    case "node": {
      const { index, mtu, underlay, uplink, fleet } = claim;
      return [
        numbers([index, mtu, fleet.tunnelPort, fleet.vni, fleet.rulePreference]),
        addresses([underlay]),
        devices([uplink]),
        networks([fleet.tunnelCIDR, ...fleet.ignore]),
      ];
    }
    case "gateway": {
      const peers = Object.values(claim.nodes);
      return [
        numbers(peers.map(({ index }) => index)),
        addresses([...peers.map(({ underlay }) => underlay), ...Object.keys(claim.placement), ...claim.hold]),
        networks(claim.extraIgnore),
      ];
    }
    case "policy":
      return [claim, claim.also ?? []].flat().flatMap(selectionForms);
    default:
      return [];
  }
}

const selectionForms = ({ egressIP, sources, destinations, except }: FormerSelection): Form[] => [
  addresses([egressIP]),
  networks(sources),
  networks(destinations),
  networks(except),
];
