import { execOk, type Lab } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";

/** What each node keeps of a registry, by node; those that keep none are left out. */
async function kept(lab: Lab): Promise<Record<string, string[]>> {
  const list = "ls -A /var/lib/pulumi-egress/registry /var/lib/pulumi-egress/registry/lab 2>/dev/null || :";
  const found = lab.nodes.map(async ({ name }) => [name, await execOk(lab, name, ["sh", "-c", list])] as const);
  const texts = (await Promise.all(found)).filter(([, text]) => text !== "");
  return Object.fromEntries(texts.map(([name, text]) => [name, text.match(/^(mark|ip|settings)\S*$/gm) ?? []]));
}

scenario(
  "a registry that moves while the VNI changes takes all entries along, and nothing of it stays where it was",
  { engine: "mini" },
  async ({ lab, stack, change }) => {
    const programs = (["gateway-1", "client-2", "gateway-2"] as const).map((node, turn) => {
      const { ssh } = lab.nodes.find(({ name }) => name === node) ?? {};
      const connection = { host: ssh?.host, privateKey: `file:${ssh?.keyPath}`, knownHosts: ssh?.knownHostsPath };
      return {
        node,
        program: [
          ...fleetOf(lab, { registry: { node, connection }, vni: 4097 + turn }),
          gatewayOf(lab, "gateway", [EGRESS]),
          policyOf("policy", "gateway", addressesOf(lab, [POD])),
        ],
      };
    });
    const seen: string[][] = [];
    for (const { node, program } of programs) {
      await change([POD], () => stack.up(program), { to: [EGRESS] });
      const now = await kept(lab);
      expect(Object.keys(now)).toEqual([node]);
      seen.push(now[node] ?? []);
      expect(await shown(stack, program)).toEqual({});
    }
    const marks = lab.nodes.map(({ name }) => `mark-${(stack.outputs(name) as { readonly index: number }).index}`);
    const entries = [`ip-${EGRESS}`, ...marks.sort(), "settings"];
    expect(seen).toEqual([entries, entries, entries]);
    await change([POD], () => stack.destroy(), { established: "cut" });
    expect(await kept(lab)).toEqual({});
  },
);
