import type {
  Claim,
  FleetSettings,
  FormerSelection,
  GatewayClaim,
  NodeClaim,
  Owner,
  PeerNode,
  PolicyClaim,
} from "./claim";
import { MAX_INDEX } from "./mark";

type Check = (value: unknown) => boolean;
/** A check for each field, so that none can be forgotten. */
type Checks<T> = { readonly [Name in keyof Required<T>]: Check };

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const text: Check = (value) => typeof value === "string";
const whole: Check = Number.isSafeInteger;
const flag: Check = (value) => typeof value === "boolean";
const index: Check = (value) => whole(value) && Number(value) >= 1 && Number(value) <= MAX_INDEX;
const oneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    typeof value === "string" && words.includes(value);
const listOf =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(item);
const recordOf =
  (item: Check): Check =>
  (value) =>
    isRecord(value) && Object.values(value).every(item);
const shaped =
  <T>(checks: Checks<T>): Check =>
  (value) =>
    isRecord(value) && Object.entries<Check>(checks).every(([name, fits]) => fits(value[name]));

const texts = listOf(text);
const owner = shaped<Owner>({ id: text, project: text, stack: text, name: text });
const selection = { sources: texts, destinations: texts, except: texts, gateway: text, egressIP: text };
const former = listOf(shaped<FormerSelection>(selection));

const SHAPES: { readonly [Kind in Claim["kind"]]: Check } = {
  node: shaped<NodeClaim>({
    kind: text,
    owner,
    node: text,
    index,
    underlay: text,
    uplink: text,
    mtu: whole,
    netns: (value) => value === undefined || text(value),
    fleet: shaped<FleetSettings>({
      name: text,
      ignore: texts,
      tunnelPort: whole,
      vni: whole,
      tunnelCIDR: text,
      tables: shaped<FleetSettings["tables"]>({ start: whole, count: whole }),
      rulePreference: whole,
    }),
  }),
  gateway: shaped<GatewayClaim>({
    kind: text,
    owner,
    nodes: recordOf(
      shaped<PeerNode>({ index, underlay: text, gateway: flag, pod: (value) => value === undefined || value === true }),
    ),
    placement: recordOf(text),
    hold: texts,
    extraIgnore: texts,
    onTunnelLoss: oneOf("drop", "node-ip"),
    inbound: oneOf("drop", "allow"),
    weave: flag,
    datapath: (value) => value === undefined || value === "bpf",
    answers: (value) => value === undefined || value === "cluster",
  }),
  policy: shaped<PolicyClaim>({
    ...selection,
    kind: text,
    owner,
    established: oneOf("keep", "cut"),
    also: (value) => value === undefined || (former(value) && (value as readonly unknown[]).length > 0),
  }),
};

/** True for what has all fields of a claim, each of its type; what addresses and names say is not looked at. */
export function isClaim(value: unknown): value is Claim {
  const kind = isRecord(value) ? String(value.kind) : "";
  return Object.hasOwn(SHAPES, kind) && SHAPES[kind as Claim["kind"]](value);
}
