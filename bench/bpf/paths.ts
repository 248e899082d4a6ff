import { execOk, type Lab } from "../../test/lab";
import { fleetOf, gatewayOf, policyOf } from "../../test/operator/program";
import type { Declared } from "../../test/operator/stack";

export const pathNames = ["bpf", "iptables", "masquerade", "noNat"] as const;
export type PathName = (typeof pathNames)[number];

/** One way from a pod to the outside, the source address by which the outside must see it, and the nodes that carry it. */
export interface Path {
  readonly name: PathName;
  readonly pod: string;
  readonly outside: string;
  readonly address: string;
  readonly source: string;
  readonly client: string;
  readonly gateway?: string;
}

/** Either datapath has its own client node, gateway node and egress IP. */
const GATEWAYS = {
  bpf: { client: "client-1", gateway: "gateway-1", egressIP: "192.168.0.200" },
  iptables: { client: "client-2", gateway: "gateway-2", egressIP: "192.168.0.201" },
} as const;
type Datapath = keyof typeof GATEWAYS;
const datapaths = Object.keys(GATEWAYS) as Datapath[];
/** This client node is not in the fleet: nothing of ours is there. */
const UNTOUCHED = "client-3";

export const labSize = { clients: 3, gateways: 2 };
const firstPodOf = (node: string): string => `pod-${node}-1`;

/** A gateway of each datapath with one policy, and with as many sources besides as are asked for, which are no pods here. */
export function programOf(lab: Lab, sources = 1): Declared[] {
  const enrolled: Lab = { ...lab, nodes: lab.nodes.filter(({ name }) => name !== UNTOUCHED) };
  const destinations = { cidrs: lab.outside.map(({ address }) => `${address}/32`) };
  return [
    ...fleetOf(enrolled),
    ...datapaths.flatMap((datapath, place) => {
      const { client, gateway, egressIP } = GATEWAYS[datapath];
      return [
        gatewayOf(enrolled, datapath, [egressIP], { on: [gateway], of: [client], datapath }),
        policyOf(`${datapath}-pod`, datapath, [podNamed(lab, firstPodOf(client))], { destinations }),
        ...groupsOf(otherSources(place, sources - 1)).map((group, i) =>
          policyOf(`${datapath}-others-${i}`, datapath, group, { destinations }),
        ),
      ];
    }),
  ];
}

/** Every second address, so that none can be joined with its neighbour. */
const otherSources = (place: number, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `10.${64 + 32 * place + (i >> 15)}.${(i >> 7) & 255}.${(2 * i) & 255}/32`);

/** So many sources a policy has at most. */
const GROUP = 10_000;

const groupsOf = (sources: readonly string[]): string[][] =>
  Array.from({ length: Math.ceil(sources.length / GROUP) }, (_, i) => sources.slice(i * GROUP, (i + 1) * GROUP));

/** The other pod of the untouched node is not translated on its way to the second outside host, as by a CNI's exception for a network. */
export async function excludeFromMasquerade(lab: Lab): Promise<void> {
  const [, second] = lab.outside;
  const match = ["-s", podNamed(lab, `pod-${UNTOUCHED}-2`), "-d", second?.address ?? ""];
  await execOk(lab, UNTOUCHED, ["iptables", "-t", "nat", "-I", "CNI-MASQ", ...match, "-j", "RETURN"]);
}

export function pathsOf(lab: Lab): Readonly<Record<PathName, Path>> {
  const [first, second] = lab.outside;
  if (!first || !second) throw new Error("the lab has no outside");
  const underlay = lab.nodes.find(({ name }) => name === UNTOUCHED)?.underlayIP ?? "";
  const by = (name: Datapath): Path => {
    const { client, gateway, egressIP } = GATEWAYS[name];
    return {
      name,
      pod: firstPodOf(client),
      outside: first.name,
      address: first.address,
      source: egressIP,
      client,
      gateway,
    };
  };
  const plain = (name: PathName, pod: string, { name: outside, address }: typeof first, source: string): Path => ({
    name,
    pod,
    outside,
    address,
    source,
    client: UNTOUCHED,
  });
  const unnatted = `pod-${UNTOUCHED}-2`;
  return {
    bpf: by("bpf"),
    iptables: by("iptables"),
    masquerade: plain("masquerade", firstPodOf(UNTOUCHED), first, underlay),
    noNat: plain("noNat", unnatted, second, podNamed(lab, unnatted)),
  };
}

function podNamed(lab: Lab, name: string): string {
  const pod = lab.pods.find((one) => one.name === name);
  if (!pod) throw new Error(`the lab has no ${name}`);
  return pod.address;
}
