import { podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario, usualSource } from "./scenario";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
/** On a client node, on the gateway node, on another gateway node. */
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const [OUTSIDE, BESIDE] = ["203.0.113.10", "203.0.114.10"] as const;

scenario("flows without connections keep their source, begin anew with it, or are refused", {}, async (scene) => {
  const { lab, stack, change } = scene;
  /**
   * The next datagram of a flow of each pod: the source that the outside saw, or why it saw none. Each from a port of its own:
   * where two ask for one port of an address at the same time, the kernel may drop one (nf_conntrack: clash).
   */
  const flow = (port: number) =>
    Promise.all(
      PODS.map(async (pod, i) => {
        const { source, error } = await podCall(lab, pod, OUTSIDE, { proto: "udp", sourcePort: port + 100 * i });
        return source ?? error;
      }),
    );
  const ping = (target: string) =>
    Promise.all(
      PODS.map(async (pod) => {
        const { source, error } = await podCall(lab, pod, target, { proto: "icmp", timeoutMs: 1000 });
        return source ?? error;
      }),
    );
  const each = <T>(value: T): T[] => PODS.map(() => value);
  const usual = PODS.map((pod) => usualSource(lab, pod));
  const nodes = (first: string) => [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [FIRST, SECOND], { placement: { [FIRST]: first, [SECOND]: "gateway-2" } }),
  ];
  const program = (egressIP: string, established: string, first = "gateway-1", pods = PODS) => [
    ...nodes(first),
    policyOf("policy", "gateway", addressesOf(lab, pods), { egressIP, established }),
  ];
  await change(PODS, () => stack.up(program(FIRST, "keep")), { to: [FIRST] });
  expect(await flow(40001)).toEqual(each(FIRST));
  expect(await ping(OUTSIDE)).toEqual(each(FIRST));

  // A policy that goes: what was on its path is refused, what begins is the nodes' affair.
  await change(PODS, () => stack.up(nodes("gateway-1")), { established: "cut" });
  expect(await flow(40001)).toEqual(each("refused"));
  expect(await ping(OUTSIDE)).toEqual(each("timeout"));
  expect(await flow(40002)).toEqual(usual);
  expect(await ping(BESIDE)).toEqual(usual);

  // An address that moves to another node is the source as before.
  await change(PODS, () => stack.up(program(FIRST, "cut")), { to: [FIRST], established: "cut" });
  expect(await flow(40002)).toEqual(each(FIRST));
  expect(await flow(40003)).toEqual(each(FIRST));
  await change(PODS, () => stack.up(program(FIRST, "keep", "gateway-2")), { to: [FIRST], established: "cut" });
  expect(await flow(40003)).toEqual(each(FIRST));
  expect(await ping(BESIDE)).toEqual(each(FIRST));

  // What a policy that keeps connections no longer selects stays on its path; where it cuts them, that is refused.
  const [, ...others] = PODS;
  const one = PODS.slice(0, 1);
  await change(one, () => stack.up(program(FIRST, "keep", "gateway-2", others)));
  expect(await flow(40003)).toEqual(each(FIRST));
  await change(one, () => stack.up(program(FIRST, "keep", "gateway-2")), { to: [FIRST] });
  await change(one, () => stack.up(program(FIRST, "cut", "gateway-2", others)), { established: "cut" });
  expect(await flow(40003)).toEqual(["refused", FIRST, FIRST]);
  await change(others, () => stack.up(program(SECOND, "cut", "gateway-2", others)), {
    to: [SECOND],
    established: "cut",
  });
  expect((await flow(40003)).slice(1)).toEqual([SECOND, SECOND]);
  await change(PODS, () => stack.destroy(), { established: "cut" });
});
