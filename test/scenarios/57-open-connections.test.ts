import { setTimeout as sleep } from "node:timers/promises";
import { execOk, type Held, type Lab, labDump, podCall, podHold, podSendRaw } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { testFull } from "../setup/skip";
import { ACK, FIN, hexOf, RST, SYN, tcpPacket } from "./packets";
import { addressesOf, type Scene, scenario, usualSource } from "./scenario";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
/** On a client node, on the gateway node, on another gateway node. */
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const OUTSIDE = "203.0.113.10";

interface Open {
  readonly pod: string;
  readonly connection: Held;
}

const holdAll = (lab: Lab): Promise<Open[]> =>
  Promise.all(PODS.map(async (pod) => ({ pod, connection: await podHold(lab, pod, OUTSIDE) })));

const sources = (open: readonly Open[]): string[] => open.map(({ connection }) => connection.source);

/** What became of a line that goes over each connection: undefined when it came back. */
const said = (open: readonly Open[]) => Promise.all(open.map(({ connection }) => connection.say()));

async function newSources(lab: Lab): Promise<(string | undefined)[]> {
  return (await Promise.all(PODS.map((pod) => podCall(lab, pod, OUTSIDE)))).map(({ source, error }) => source ?? error);
}

/** Packets of every kind on an open connection, but for one that opens another. */
function late(lab: Lab, pod: string, { localPort }: Held): string[] {
  const [src = ""] = addressesOf(lab, [pod]);
  const opens = (flags: number): boolean => (flags & (FIN | SYN | RST | ACK)) === SYN;
  const flags = Array.from({ length: 256 }, (_, bits) => bits).filter((bits) => !opens(bits));
  return hexOf(flags.map((bits) => tcpPacket({ src, dst: OUTSIDE, sport: localPort, dport: 7001 }, bits)));
}

const each = <T>(value: T): T[] => PODS.map(() => value);

scenario("open connections are kept on their path and source, or cut, as the policy says", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const nodes = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [FIRST, SECOND], { placement: { [FIRST]: "gateway-1", [SECOND]: "gateway-2" } }),
  ];
  const program = (egressIP: string, established: string) => [
    ...nodes,
    policyOf("policy", "gateway", addressesOf(lab, PODS), { egressIP, established }),
  ];
  await stack.up(nodes);
  const before = await holdAll(lab);

  await change(PODS, () => stack.up(program(FIRST, "keep")), { to: [FIRST] });
  const onFirst = await holdAll(lab);
  expect(sources(before)).toEqual(PODS.map((pod) => usualSource(lab, pod)));
  expect(sources(onFirst)).toEqual(each(FIRST));
  await change(PODS, () => stack.up(program(SECOND, "keep")), { to: [SECOND] });
  const onSecond = await holdAll(lab);
  expect(sources(onSecond)).toEqual(each(SECOND));
  for (const kept of [before, onFirst, onSecond]) expect(await said(kept)).toEqual(each(undefined));

  await change(PODS, () => stack.up(program(FIRST, "cut")), { to: [FIRST], established: "cut" });
  for (const cut of [before, onSecond]) expect(await said(cut)).toEqual(each("reset"));
  expect(await newSources(lab)).toEqual(each(FIRST));

  // What was cut never leaves, whatever its pod still sends on it; a pod may open another on the same ports.
  const last = await holdAll(lab);
  await change(PODS, () => stack.up(nodes), { established: "cut" });
  await Promise.all(last.map(({ pod, connection }) => podSendRaw(lab, pod, late(lab, pod, connection))));
  expect(await said(last)).toEqual(each("reset"));
  const again = last.map(async ({ pod, connection }) => {
    await connection.close();
    return (await podCall(lab, pod, OUTSIDE, { sourcePort: connection.localPort })).source;
  });
  expect(await Promise.all(again)).toEqual(PODS.map((pod) => usualSource(lab, pod)));

  // What a pod closes after it was cut is answered at once: else its FINs would come again when nobody stops them any more.
  await change(PODS, () => stack.up(program(FIRST, "keep")), { to: [FIRST] });
  const closed = await holdAll(lab);
  await change(PODS, () => stack.up(nodes), { established: "cut" });
  await Promise.all(closed.map(({ connection }) => connection.close()));
  await stack.destroy();
  await sleep(4000);
});

scenario("where connections can't be ended, nothing changes, and that is said", {}, unended, testFull);

async function unended(scene: Scene): Promise<void> {
  const { lab, stack, change, oracle } = scene;
  const pod = "pod-client-1-1";
  const nodes = [...fleetOf(lab), gatewayOf(lab, "gateway", [FIRST])];
  const program = [...nodes, policyOf("policy", "gateway", addressesOf(lab, [pod]))];
  await change([pod], () => stack.up(program), { to: [FIRST] });
  const connection = await podHold(lab, pod, OUTSIDE);
  await execOk(lab, "client-1", ["sh", "-ec", "cat >/usr/local/sbin/conntrack; chmod +x /usr/local/sbin/conntrack"], {
    input: "#!/bin/sh\necho told to fail >&2\nexit 1\n",
  });
  const before = await labDump(lab, "client-1");
  for (const act of [() => stack.up(nodes), () => stack.destroy()]) {
    // What begins while it is tried begins without the policy.
    const begun = oracle.changing(pod, [usualSource(lab, pod)]);
    await expect(act()).rejects.toThrow(/node client-1: conntrack failed: told to fail. Nothing was changed./);
    begun.done([FIRST]);
    expect(await labDump(lab, "client-1")).toBe(before);
    expect((await podCall(lab, pod, OUTSIDE)).source).toBe(FIRST);
    expect(await connection.say()).toBeUndefined();
  }
  await execOk(lab, "client-1", ["rm", "/usr/local/sbin/conntrack"]);
  await change([pod], () => stack.destroy(), { established: "cut" });
  expect(await connection.say()).toBe("reset");
}
