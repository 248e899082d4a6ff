import { compileNode } from "../../provider/compile/node";
import type { NodeFacts } from "../../provider/compile/view";
import type { KernelObject } from "../../provider/kernel/state";
import type { Claim } from "../../provider/model/claim";
import { BPF_DIRECTORY } from "../../provider/program/bpf-maps";
import { objectDigests } from "../../provider/transport/programs";
import { execOk, type Lab, labDrift } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { asShown } from "./as-shown";
import { addressesOf, scenario } from "./scenario";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
const PODS = ["pod-client-1-1", "pod-gateway-1-1"];
const STATE = "/var/lib/pulumi-egress";

/** What the provider says that it wants on a node, in the order in which rules stand in their chains. */
async function wantedOn(lab: Lab, node: string): Promise<KernelObject[]> {
  const claims = await execOk(lab, node, ["sh", "-c", `cat ${STATE}/claims/*.json`]);
  const facts = JSON.parse(await execOk(lab, node, ["cat", `${STATE}/node.json`])) as NodeFacts;
  const parsed = claims.trim().split("\n");
  const position = (object: KernelObject): number => (object.kind === "chain-rule" ? object.position : -1);
  return compileNode(
    parsed.map((line) => JSON.parse(line) as Claim),
    { ...facts, objects: objectDigests() },
  )
    .map(({ object }) => object)
    .sort((a, b) => position(a) - position(b));
}

/** What plain tools show on a node that was not there before us, and what they no longer show; by section. */
async function shownOn(lab: Lab, node: string): Promise<Map<string, string[]>> {
  const sections = new Map<string, string[]>();
  let section = "";
  for (const line of (await labDrift(lab, node)).split("\n")) {
    if (!line.startsWith(" ")) section = line.replace(/:.*/, "");
    else sections.set(section, [...(sections.get(section) ?? []), line.slice(2)]);
  }
  return sections;
}

/** Settings of the tunnel device that the kernel made with it. */
const isOwnSetting = (line: string): boolean => /^\+ ipv4\/conf\/egw\.vxlan\/(?!rp_filter|forwarding)/.test(line);

const rulesOf = (lines: readonly string[], chain: string): string[] =>
  lines.filter((line) => line.includes(` -A ${chain} `));

async function expectExactly(lab: Lab, node: string): Promise<void> {
  const shown = await shownOn(lab, node);
  const files = shown.get("files") ?? [];
  shown.delete("files");
  const all = [...shown.values()].flat().filter((line) => !isOwnSetting(line));
  const desired = await wantedOn(lab, node);
  const hooked = new Set(desired.flatMap((o) => (o.kind === "tc-filter" ? [`clsact ${o.device}`] : [])));
  const wanted = [...desired.flatMap(asShown), ...hooked].map((line) => `+ ${line}`);
  expect({ node, all: [...all].sort() }).toEqual({ node, all: [...wanted].sort() });
  for (const chain of new Set(wanted.map((line) => / -A (EGRESSGATEWAY-\S+) /.exec(line)?.[1] ?? ""))) {
    if (chain !== "") expect({ node, rules: rulesOf(all, chain) }).toEqual({ node, rules: rulesOf(wanted, chain) });
  }
  const pins = hooked.size > 0 ? BPF_DIRECTORY : STATE;
  expect(files.filter((line) => !line.includes(STATE.slice(1)) && !line.includes(pins.slice(1)))).toEqual([]);
}

scenario("every node has exactly what the programs of the provider say, and nothing else", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const program = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [FIRST, SECOND], {
      of: ["client-1"],
      placement: { [FIRST]: "gateway-1", [SECOND]: "gateway-2" },
    }),
    policyOf("all", "gateway", addressesOf(lab, PODS), { egressIP: FIRST }),
    policyOf("some", "gateway", ["10.0.1.12"], {
      egressIP: SECOND,
      destinations: { cidrs: ["203.0.112.0/22"], except: ["203.0.114.0/24"] },
    }),
  ];
  const some = { to: [SECOND], targets: ["203.0.113.0/24"] };
  await change(PODS, () => change(["pod-client-1-2"], () => stack.up(program), some), { to: [FIRST] });
  for (const { name } of lab.nodes) await expectExactly(lab, name);
  const legsAndPolicies = (name: string) =>
    execOk(lab, name, ["sh", "-c", "ip rule | grep -c 'proto 38'; ipset list -n | grep -c 'egw-s-'; true"]);
  // client-2 is enrolled and no more: no leg, no policy.
  expect(await legsAndPolicies("client-2")).toBe("0\n0\n");
  expect(await legsAndPolicies("client-1")).toBe("2\n2\n");
  await change([...PODS, "pod-client-1-2"], () => stack.destroy(), { established: "cut" });
});
