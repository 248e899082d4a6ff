import type { GatewayRef } from "../../../provider/model/args";
import { resetContext } from "../../../provider/runtime/context";
import { check } from "../../../provider/runtime/egress-policy";
import { forgetRun } from "../../../provider/runtime/run-memory";
import type { Transport } from "../../../provider/transport/transport";

/** Answers like nodes with nothing on them; the host `gone` does not answer. */
const transport: Transport = {
  run: async (node, { host }) => {
    if (host === "192.0.2.99") throw new Error(`node ${node}: refused the connection`);
    return { code: 0, stdout: "@@end\n", stderr: "" };
  },
  counters: () => ({ handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 }),
  close: async () => undefined,
};

const gatewayOn = (...names: string[]): GatewayRef => ({
  id: "gateway-5c1a8a1e-6f0b-4c53-9d4c-1d3f8c9a7b60",
  name: "gateway",
  fleet: "lab",
  egressIPs: ["198.51.100.1"],
  placement: { "198.51.100.1": "n1" },
  ignore: ["10.96.0.0/16"],
  nodes: Object.fromEntries(names.map((name) => [name, name === "gone" ? "192.0.2.99" : `192.0.2.9${name.slice(1)}`])),
  connection: { privateKey: "env:KEY" },
});
const news = (gateway: GatewayRef) => ({
  gateway,
  sources: { cidrs: ["10.0.1.11/32"] },
  label: { project: "shop", stack: "prod", name: "policy" },
  dryRun: true,
});
const failures = async (olds: object, gateway: GatewayRef) =>
  ((await check(olds as never, news(gateway))).failures ?? []).map(({ property, reason }) => `${property}: ${reason}`);

beforeEach(async () => {
  forgetRun();
  await resetContext(transport);
});
afterAll(() => resetContext());

const refusal =
  "gateway: node gone: refused the connection. The policy has never been on this node: make it reachable, or write it off in egress:abandon.";

test("a new policy on a node that can't be reached is refused in preview", async () => {
  expect(await failures({}, gatewayOn("n1", "n2"))).toEqual([]);
  expect(await failures({}, gatewayOn("n1", "gone"))).toEqual([refusal]);
});

test("a policy whose gateway gets such a node is refused too; where it was already, that is drift", async () => {
  const { inputs } = await check({}, news(gatewayOn("n1")));
  expect(await failures(inputs, gatewayOn("n1", "gone"))).toEqual([refusal]);
  const held = { ...inputs, gateway: gatewayOn("n1", "gone") };
  expect(await failures(held, gatewayOn("n1", "gone"))).toEqual([]);
  const { inputs: drifted } = await check(held, news(gatewayOn("n1", "gone")));
  expect(drifted.drift).toMatchObject({ gone: ["unknown  node gone: refused the connection"] });
});
