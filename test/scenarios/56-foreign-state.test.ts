import * as fs from "node:fs";
import * as path from "node:path";
import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const OTHER = "192.168.0.201";
const SELECTED = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1"];
/** What stands on each node besides kube-proxy's rules, as its owner would have saved it. */
const SEEDS: Readonly<Record<string, readonly string[]>> = {
  "client-1": ["calico"],
  "client-2": ["docker"],
  "gateway-1": ["calico", "docker"],
};

const fixture = (name: string): string => {
  const file = path.join(__dirname, "foreign", name);
  return fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "";
};

async function seed(lab: Lab, node: string, owners: readonly string[]): Promise<void> {
  for (const owner of owners) {
    await execOk(lab, node, ["ipset", "restore"], { input: fixture(`${owner}.sets`) });
    await execOk(lab, node, ["iptables-restore", "--noflush"], { input: fixture(`${owner}.rules`) });
  }
}

/** All rules and sets of a node that are not ours, as the tools print them, without counters. */
async function foreign(lab: Lab, node: string): Promise<string> {
  const text = await execOk(lab, node, [
    "sh",
    "-c",
    "for t in raw mangle nat filter; do iptables-save -t $t; done; ipset save | sort",
  ]);
  return text
    .split("\n")
    .filter((line) => !/EGRESSGATEWAY-|^(create|add) egw-|^#/.test(line))
    .map((line) => line.replace(/\[\d+:\d+\]/, ""))
    .join("\n");
}

const everywhere = async (lab: Lab): Promise<Record<string, string>> =>
  Object.fromEntries(await Promise.all(lab.nodes.map(async ({ name }) => [name, await foreign(lab, name)])));

scenario(
  "rules and sets of kube-proxy, Calico and Docker stay byte for byte what they were",
  {},
  async ({ lab, stack, change }) => {
    const saved = new Map(
      await Promise.all(
        Object.keys(SEEDS).map(async (node) => [node, await execOk(lab, node, ["iptables-save"])] as const),
      ),
    );
    await Promise.all(Object.entries(SEEDS).map(([node, owners]) => seed(lab, node, owners)));
    const before = await everywhere(lab);
    expect(before["client-1"]).toMatch(/-j cali-FORWARD[\s\S]*add cali40masq-ipam-pools 10\.0\.0\.0\/16/);
    const program = (egressIP: string, sources: readonly string[]) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS, OTHER], { placement: { [EGRESS]: "gateway-1", [OTHER]: "gateway-2" } }),
      policyOf("policy", "gateway", addressesOf(lab, sources), { egressIP }),
    ];
    const shows = async () =>
      (await Promise.all(SELECTED.map((pod) => podCall(lab, pod, lab.outside[0]?.address ?? "")))).map(
        ({ source, error }) => source ?? error,
      );

    await change(SELECTED, () => stack.up(program(EGRESS, SELECTED)), { to: [EGRESS] });
    expect(await shows()).toEqual(SELECTED.map(() => EGRESS));
    expect(await everywhere(lab)).toEqual(before);

    await breakCall(lab, "client-1", 2);
    const fails = () => expect(stack.up(program(OTHER, SELECTED))).rejects.toThrow("Nothing was changed");
    await change(SELECTED, fails, { to: [EGRESS, OTHER] });
    await mendCalls(lab, "client-1");
    expect(await everywhere(lab)).toEqual(before);

    await change(SELECTED, () => stack.up(program(OTHER, SELECTED)), { to: [OTHER] });
    expect(await shows()).toEqual(SELECTED.map(() => OTHER));
    expect((await stack.preview(program(OTHER, SELECTED))).filter(({ change }) => change !== "same")).toEqual([]);
    expect(await everywhere(lab)).toEqual(before);

    await change(SELECTED, () => stack.destroy(), { established: "cut" });
    expect(await everywhere(lab)).toEqual(before);
    for (const [node, rules] of saved) {
      // Whole tables at once: pods send on.
      await execOk(lab, node, ["iptables-restore"], { input: rules });
      const added = ["raw", "mangle", "nat", "filter"].filter((table) => !rules.includes(`*${table}\n`));
      const empty = added.map((table) => `iptables -t ${table} -F; iptables -t ${table} -X; `).join("");
      await execOk(lab, node, ["sh", "-c", `${empty}ipset destroy`]);
    }
  },
);
