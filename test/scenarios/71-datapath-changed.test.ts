import { podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
const ONE = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const TWO = ["pod-client-1-2", "pod-client-2-1"];
const DATAPATHS = [
  ["iptables", "iptables"],
  ["bpf", "iptables"],
  ["bpf", "bpf"],
  ["iptables", "bpf"],
  ["iptables", "iptables"],
] as const;

// All pods call from the same ports, so that of two of them one may lose its own while both ways translate: what is held is told.
scenario(
  "a fleet is moved from one datapath to the other and back under traffic: sources stay, and open connections go on",
  { senders: [...ONE, ...TWO], timeoutMs: 300_000 },
  async ({ lab, stack, change }) => {
    const [server] = lab.outside;
    if (!server) throw new Error("a lab without outside");
    const program = (one: string, two: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [FIRST], { placement: { [FIRST]: "gateway-1" }, datapath: one }),
      gatewayOf(lab, "two", [SECOND], { placement: { [SECOND]: "gateway-2" }, datapath: two }),
      policyOf("policy-one", "one", addressesOf(lab, ONE)),
      policyOf("policy-two", "two", addressesOf(lab, TWO)),
    ];
    const begin = () => stack.up(program("iptables", "iptables"));
    await change(ONE, () => change(TWO, begin, { to: [SECOND] }), { to: [FIRST] });
    const held: { readonly since: string; readonly pod: string; readonly say: () => Promise<string | undefined> }[] =
      [];
    for (const [one, two] of DATAPATHS) {
      await stack.up(program(one, two));
      expect(await shown(stack, program(one, two))).toEqual({});
      const broken = await Promise.all(held.map(async ({ since, pod, say }) => ({ since, pod, error: await say() })));
      expect({ now: [one, two], broken: broken.filter(({ error }) => error) }).toEqual({ now: [one, two], broken: [] });
      for (const pod of [...ONE, ...TWO]) {
        const { say } = await podHold(lab, pod, server.address);
        for (let i = 0; i < 3; i++) expect({ pod, broken: await say() }).toEqual({ pod, broken: undefined });
        held.push({ since: `${one} ${two}`, pod, say: () => say(5000) });
      }
    }
    await change([...ONE, ...TWO], () => stack.destroy(), { established: "cut" });
  },
);

// Its pod's device keeps a program, which has no way to the gateway node any more.
scenario(
  "an open connection goes on where one of its pod's two gateways gives its programs up, and where it gets them",
  { senders: [] },
  async ({ lab, stack, change }) => {
    const [near, far] = lab.outside;
    const [pod = ""] = ONE;
    if (!near || !far) throw new Error("a lab without two networks outside");
    const program = (two: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [FIRST], { placement: { [FIRST]: "gateway-1" }, datapath: "bpf" }),
      gatewayOf(lab, "two", [SECOND], { placement: { [SECOND]: "gateway-2" }, datapath: two }),
      policyOf("policy-one", "one", addressesOf(lab, [pod]), { destinations: { cidrs: [`${near.address}/32`] } }),
      policyOf("policy-two", "two", addressesOf(lab, [pod]), { destinations: { cidrs: [`${far.address}/32`] } }),
    ];
    await change([pod], () => stack.up(program("bpf")), { to: [FIRST, SECOND] });
    const held = await Promise.all([near, far].map(({ address }) => podHold(lab, pod, address)));
    const say = () => Promise.all(held.map((one) => one.say(5000)));
    for (const two of ["bpf", "iptables", "bpf", "iptables"]) {
      await stack.up(program(two));
      expect(await shown(stack, program(two))).toEqual({});
      for (let i = 0; i < 3; i++) expect({ two, broken: await say() }).toEqual({ two, broken: [undefined, undefined] });
    }
    await change([pod], () => stack.destroy(), { established: "cut" });
  },
);
