import { setTimeout } from "node:timers/promises";
import { type Held, podCall, podHold } from "../lab";
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

/** What is loaded, and how fast: so that it takes longer than a change. */
const [BYTES, RATE] = [40_000_000, 4_000_000];
/** So long nothing comes where it has come to a standstill. */
const STALLED_MS = 5000;
/** So long a server is silent, and its pod: about as long as a change takes. */
const SILENT_MS = 6000;

// What is held of each step is held from the same port by all pods, so that only one of them has its own outside.
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
    const held: { readonly since: string; readonly pod: string; readonly say: Held["say"] }[] = [];
    let port = 20_000;
    for (const [one, two] of DATAPATHS) {
      // While it changes the server speaks first.
      const spoken = Promise.all(
        held.map(async ({ since, pod, say }) => ({ since, pod, error: await say(5000, SILENT_MS) })),
      );
      await stack.up(program(one, two));
      const unheard = (await spoken).filter(({ error }) => error);
      expect({ now: [one, two], unheard }).toEqual({ now: [one, two], unheard: [] });
      expect(await shown(stack, program(one, two))).toEqual({});
      const broken = await Promise.all(
        held.map(async ({ since, pod, say }) => ({ since, pod, error: await say(5000) })),
      );
      expect({ now: [one, two], broken: broken.filter(({ error }) => error) }).toEqual({ now: [one, two], broken: [] });
      port++;
      for (const pod of [...ONE, ...TWO]) {
        const { say } = await podHold(lab, pod, server.address, { sourcePort: port });
        for (let i = 0; i < 3; i++) expect({ pod, broken: await say() }).toEqual({ pod, broken: undefined });
        held.push({ since: `${one} ${two}`, pod, say });
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

// Conntrack takes acknowledgements of what it has not seen for invalid: then nothing would come any more.
scenario(
  "what is loaded down and up goes on while its gateway gets programs and gives them up",
  { senders: [] },
  async ({ lab, stack, change }) => {
    const [server] = lab.outside;
    const [pod = ""] = ONE;
    if (!server) throw new Error("a lab without outside");
    const program = (datapath: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "one", [FIRST], { placement: { [FIRST]: "gateway-1" }, datapath }),
      policyOf("policy-one", "one", addressesOf(lab, [pod])),
    ];
    await change([pod], () => stack.up(program("bpf")), { to: [FIRST] });
    for (const datapath of ["iptables", "bpf", "iptables", "bpf"]) {
      const options = { proto: "http", timeoutMs: STALLED_MS } as const;
      const down = podCall(lab, pod, server.address, { ...options, path: `/bytes/${BYTES}/${RATE}` });
      const up = podCall(lab, pod, server.address, { ...options, upload: BYTES, rate: RATE });
      await setTimeout(1000);
      await stack.up(program(datapath));
      expect({ datapath, ...(await down) }).toMatchObject({ bytes: BYTES });
      expect({ datapath, ...(await up) }).toMatchObject({ received: BYTES });
    }
    await change([pod], () => stack.destroy(), { established: "cut" });
  },
);
