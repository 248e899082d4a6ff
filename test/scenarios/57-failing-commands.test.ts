import { type Lab, labDump, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { AnyStack, Declared } from "../operator/stack";
import { testFull } from "../setup/skip";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, type Scene, type ShowOptions, scenario, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
const OTHER = "192.168.0.201";
const PODS = ["pod-client-1-1", "pod-client-2-1"];

/**
 * Lets each command of the batches on this node fail in turn: the node must then be as it was before that batch. Ends where
 * none is left. A batch that was done stays done, so the next one is tried from its own first command on.
 */
async function failEach(
  lab: Lab,
  stack: AnyStack,
  node: string,
  program: readonly Declared[],
  batches = 1,
): Promise<number> {
  let before = await labDump(lab, node);
  let done = 0;
  for (let call = 1; ; call++) {
    await breakCall(lab, node, call);
    const message = await stack.up(program).then(
      () => undefined,
      (error: Error) => error.message,
    );
    const calls = await mendCalls(lab, node);
    if (message === undefined) {
      expect(calls).toBeLessThan(call);
      expect(done).toBe(batches - 1);
      return call - 1;
    }
    expect(message).toMatch(
      new RegExp(
        `node ${node}: (ip|ipset|iptables|arping|conntrack|tc)( line \\d+ ".*")? failed: .*told to fail.*Nothing was changed\\.`,
        "s",
      ),
    );
    const dump = await labDump(lab, node);
    if (dump !== before && done < batches - 1) {
      [before, call, done] = [dump, 0, done + 1];
      continue;
    }
    expect({ call, dump }).toEqual({ call, dump: before });
  }
}

scenario(
  "each command of an enrolment that fails leaves the node as it was, and says so",
  { engine: "mini", timeoutMs: 600_000 },
  async ({ lab, stack }) => {
    const client = fleetOf(lab).filter(({ name }) => name === "client-1");
    const registry = await labDump(lab, "gateway-1");
    expect(await failEach(lab, stack, "client-1", client)).toBeGreaterThanOrEqual(5);
    expect((await stack.preview(client)).map(({ change }) => change)).toEqual(["same"]);
    await stack.destroy();
    expect(await labDump(lab, "gateway-1")).toEqual(registry);
  },
);

scenario(
  "each command of every other batch that fails leaves its node as it was",
  { engine: "mini", timeoutMs: 1_800_000 },
  everyBatch,
  testFull,
);

async function everyBatch({ lab, stack, change }: Scene): Promise<void> {
  const others = lab.pods.flatMap(({ name }) => (PODS.includes(name) ? [] : [name]));
  const fleet = fleetOf(lab);
  const gateway = (...ips: string[]) => [
    ...fleet,
    gatewayOf(lab, "gateway", ips, { placement: Object.fromEntries(ips.map((ip) => [ip, "gateway-1"])) }),
  ];
  const old = policyOf("policy", "gateway", addressesOf(lab, PODS), { egressIP: EGRESS });
  const changed = policyOf("policy", "gateway", [lab.ranges.pods], {
    egressIP: OTHER,
    destinations: { except: ["198.18.0.0/15"] },
  });
  // One resource a step, what its pods show then, and a node with how many batches the step is there: a policy takes what it selects, then lets go.
  const steps: [string, Declared[], (ShowOptions & { readonly all?: boolean })?, number?][] = [
    ["gateway-1", gateway(EGRESS)],
    ["gateway-1", [...gateway(EGRESS), old], { to: [EGRESS] }],
    ["gateway-1", [...gateway(EGRESS, OTHER), old], { to: [EGRESS] }],
    ["client-1", [...gateway(EGRESS, OTHER), changed], { to: [OTHER], all: true }, 2],
    ["client-1", [...gateway(EGRESS, OTHER), old], { to: [EGRESS] }, 2],
    // The address goes, and what was kept on it.
    ["gateway-1", [...gateway(EGRESS), old], { to: [EGRESS], established: "cut-paths" }],
    ["gateway-1", gateway(EGRESS), { established: "cut" }],
    ["gateway-1", fleet],
  ];
  await stack.up(fleet);
  for (const [node, program, { all = false, ...shown } = {}, batches] of steps) {
    const failing = async () => expect(await failEach(lab, stack, node, program, batches)).toBeGreaterThan(0);
    const ofOthers = all ? shown : { established: shown.established ?? "keep" };
    await change(PODS, () => change(others, failing, ofOthers), shown);
    expect((await stack.preview(program)).filter((one) => one.change !== "same")).toEqual([]);
    const source = shown.to?.[0] ?? usualSource(lab, "pod-client-1-1");
    expect((await podCall(lab, "pod-client-1-1", lab.outside[0]?.address ?? "")).source).toBe(source);
  }
  await stack.destroy();
}
