import * as fs from "node:fs";
import * as path from "node:path";
import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-client-2-1", "pod-gateway-1-1"];
const SERVICES = 300;

const chainOf = (kind: "SVC" | "SEP", service: number): string => `KUBE-${kind}-${`${service}`.padStart(16, "A")}`;

/** Services behind two pods each, as kube-proxy restores them; the list of all services is written anew with them. */
function servicesRestore(lab: Lab, from: number, to: number): string {
  const pods = lab.pods.slice(0, 2).map(({ address }) => address);
  const names = Array.from({ length: to - from }, (_, i) => from + i);
  return [
    "*nat",
    ...names.flatMap((one) => [`:${chainOf("SVC", one)} - [0:0]`, `:${chainOf("SEP", one)} - [0:0]`]),
    ":KUBE-SERVICES - [0:0]",
    ...names.flatMap((one) => [
      `-A KUBE-SERVICES -d 10.96.${128 + (one >> 8)}.${one & 255}/32 -p tcp -m tcp --dport 80 -j ${chainOf("SVC", one)}`,
      ...pods.map((pod) => `-A ${chainOf("SVC", one)} ! -s ${pod}/32 -p tcp -j ${chainOf("SEP", one)}`),
      `-A ${chainOf("SEP", one)} -p tcp -j DNAT --to-destination ${pods[0]}:8080`,
    ]),
    "COMMIT",
    "",
  ].join("\n");
}

const inEach = (lab: Lab, script: string): Promise<string[]> =>
  Promise.all(lab.nodes.map(({ name }) => execOk(lab, name, ["sh", "-e"], { input: script })));
const restoreInEach = (lab: Lab, input: string): Promise<string[]> =>
  Promise.all(lab.nodes.map(({ name }) => execOk(lab, name, ["iptables-restore", "--noflush"], { input })));

/** A rule that its owner takes out of a hook and puts back, at the side of ours where it was. */
const again = (table: string, side: "I" | "A", rule: string): string =>
  `iptables -t ${table} -D ${rule}\niptables -t ${table} -${side} ${rule}`;

/** Owners that come later add their rules on both sides of ours. */
async function ownersCome(lab: Lab): Promise<void> {
  const read = (file: string) => fs.readFileSync(path.join(__dirname, "foreign", file), "utf8");
  await execOk(lab, "client-1", ["ipset", "restore"], { input: read("calico.sets") });
  await execOk(lab, "client-1", ["iptables-restore", "--noflush"], { input: read("calico.rules") });
  await execOk(lab, "client-2", ["iptables-restore", "--noflush"], { input: read("docker.rules") });
}

/** What the owners of other things on a node do all day; none of it is ours. */
const churn = (lab: Lab): Readonly<Record<string, () => Promise<unknown>>> => ({
  "services come": () => restoreInEach(lab, servicesRestore(lab, 0, SERVICES)),
  "services go, others come": () => restoreInEach(lab, servicesRestore(lab, SERVICES / 2, SERVICES + 50)),
  "hooks are put back": () =>
    inEach(
      lab,
      [
        again("nat", "I", 'PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'),
        again("nat", "A", 'OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES'),
        again("nat", "A", 'POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING'),
        again("filter", "A", "INPUT -j KUBE-FIREWALL"),
      ].join("\n"),
    ),
  "sets are filled, swapped and emptied": () =>
    inEach(
      lab,
      `ipset create other hash:ip; ipset create other-new hash:ip
      for i in $(seq 1 200); do echo "add other-new 10.9.0.$i"; done | ipset restore
      ipset swap other other-new; ipset flush other-new; ipset destroy other-new`,
    ),
  "chains, rules and routes of others in every table": () =>
    inEach(
      lab,
      `for t in raw mangle nat filter; do iptables -t $t -N OTHER; iptables -t $t -A OTHER -s 10.9.0.0/16 -j RETURN; done
      for h in PREROUTING POSTROUTING FORWARD; do iptables -t mangle -A $h -j OTHER; done
      iptables -t nat -A POSTROUTING -j OTHER; iptables -I OUTPUT -j OTHER; iptables -t raw -A PREROUTING -j OTHER
      iptables -A KUBE-FORWARD -j OTHER
      ip rule add pref 6000 fwmark 0x77/0xff lookup 777; ip route add 198.51.100.0/24 via 192.168.0.1 dev eth0 table 777`,
    ),
});

const UNDO = "ip rule del pref 6000; ip route flush table 777";

// While their rules stand in front of ours, theirs masquerade what goes into the tunnel, and the gateway drops it.
const excuses = / 100\.126\.\S+ → .*: tunnelled, but neither from nor to a pod;/;

scenario(
  "what others do to their own rules and sets, while and after it is done, is no drift",
  { excuses },
  async (scene) => {
    const { lab, stack, change } = scene;
    const saved = new Map(
      await Promise.all(lab.nodes.map(async ({ name }) => [name, await execOk(lab, name, ["iptables-save"])] as const)),
    );
    const program = [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } }),
      policyOf("policy", "gateway", addressesOf(lab, SELECTED)),
    ];
    await change(SELECTED, () => stack.up(program), { to: [EGRESS] });
    await ownersCome(lab);
    // What is on the wrong side of ours is drift, and the next up moves ours; where docker drops, our own ways are opened.
    const wrongSide = / (behind|before) foreign "|^client-2 missing {2}.* EGRESSGATEWAY-KEEP/;
    const moved = Object.entries(await shown(stack, program));
    expect(moved.map(([name]) => name)).toEqual(["client-1", "client-2"]);
    expect(moved.flatMap(([, lines]) => lines.filter((line) => !wrongSide.test(line)))).toEqual([]);
    await stack.up(program);
    expect(await shown(stack, program)).toEqual({});

    for (const [what, act] of Object.entries(churn(lab))) {
      const [meanwhile] = await Promise.all([shown(stack, program), act()]);
      expect({ what, meanwhile, after: await shown(stack, program) }).toEqual({ what, meanwhile: {}, after: {} });
      const calls = await Promise.all(SELECTED.map((pod) => podCall(lab, pod, lab.outside[0]?.address ?? "")));
      expect({ what, sources: calls.map(({ source }) => source) }).toEqual({
        what,
        sources: SELECTED.map(() => EGRESS),
      });
    }

    await change(SELECTED, () => stack.destroy(), { established: "cut" });
    await inEach(lab, UNDO);
    for (const [node, rules] of saved) {
      // Whole tables at once: pods send on.
      await execOk(lab, node, ["iptables-restore"], { input: rules });
      const added = ["raw", "mangle", "nat", "filter"].filter((table) => !rules.includes(`*${table}\n`));
      const empty = added.map((table) => `iptables -t ${table} -F; iptables -t ${table} -X; `).join("");
      await execOk(lab, node, ["sh", "-c", `${empty}ipset destroy`]);
    }
  },
);
