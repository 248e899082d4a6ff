import { execOk, type Lab, podCall, podHold } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { addressesOf, type Scene, scenario } from "./scenario";

const [A, B, SPARE] = ["192.168.0.200", "192.168.0.201", "192.168.0.202"] as const;
const OF_X = "pod-client-1-1";
const OF_Y = "pod-client-2-1";
const PODS = [OF_X, OF_Y];

interface Wish {
  readonly ips: readonly string[];
  readonly on: string;
  /** What the policy of this gateway's pod uses. */
  readonly uses: string;
}

/** Two gateways, a pod each, in this order of declaration. */
function programOf(lab: Lab, x: Wish, y: Wish, order: readonly string[]): Declared[] {
  const gateway = (name: string, { ips, on }: Wish) =>
    gatewayOf(lab, name, ips, { on: [on], placement: Object.fromEntries(ips.map((ip) => [ip, on])) });
  const both = [gateway("x", x), gateway("y", y)].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  return [
    ...fleetOf(lab),
    ...both,
    policyOf("of-x", "x", addressesOf(lab, [OF_X]), { egressIP: x.uses }),
    policyOf("of-y", "y", addressesOf(lab, [OF_Y]), { egressIP: y.uses }),
  ];
}

async function holders(lab: Lab, address: string): Promise<string[]> {
  const found = lab.nodes.map(async ({ name }) =>
    (await execOk(lab, name, ["ip", "-o", "addr", "show", "to", `${address}/32`])) === "" ? [] : [name],
  );
  return (await Promise.all(found)).flat();
}

/** Moments at which an address was on its new node and still on the other: the new one is asked first, so a move alone is none. */
function watchTwice(lab: Lab, wishes: readonly Wish[], nodes: readonly string[]): { stop(): Promise<string[]> } {
  const has = async (node: string, address: string) =>
    (await execOk(lab, node, ["ip", "-o", "addr", "show", "to", `${address}/32`])) !== "";
  const found: string[] = [];
  let isOver = false;
  const watching = (async () => {
    while (!isOver && new Set(nodes).size > 1) {
      for (const { uses, on } of wishes)
        for (const other of nodes.filter((node) => node !== on))
          if ((await has(on, uses)) && (await has(other, uses))) found.push(`${uses} on ${on} and ${other}`);
    }
  })();
  return {
    stop: async () => {
      isOver = true;
      await watching;
      return [...new Set(found)];
    },
  };
}

const shown = (lab: Lab, pod: string) => podCall(lab, pod, lab.outside[0]?.address ?? "").then(({ source }) => source);

async function swapTwice({ lab, stack, change, oracle }: Scene, on: readonly [string, string]): Promise<void> {
  const [left, right] = on;
  const straight = [
    { ips: [A], on: left, uses: A },
    { ips: [B], on: right, uses: B },
  ] as const;
  const crossed = [
    { ips: [B], on: left, uses: B },
    { ips: [A], on: right, uses: A },
  ] as const;
  const moveTo = async (wishes: readonly [Wish, Wish], order: readonly string[], isSerial: boolean) => {
    const program = programOf(lab, ...wishes, order);
    const [x, y] = wishes;
    oracle.note(`${order.join(" before ")}, ${isSerial ? "one by one" : "together"}`);
    const changed = (await stack.preview(program)).filter(({ change: one }) => one !== "same");
    expect(changed.map(({ name }) => name).sort()).toEqual(["of-x", "of-y", "x", "y"]);
    const held = await podHold(lab, OF_X, "203.0.113.10");
    const twice = watchTwice(lab, wishes, on);
    await change(
      [OF_X],
      () => change([OF_Y], () => stack.up(program, isSerial ? { parallel: 1 } : {}), { to: [y.uses] }),
      {
        to: [x.uses],
      },
    ).finally(() => twice.stop());
    expect(await twice.stop()).toEqual([]);
    expect(await held.say()).toBe("reset");
    for (const one of wishes) expect(await holders(lab, one.uses)).toEqual([one.on]);
    expect([await shown(lab, OF_X), await shown(lab, OF_Y)]).toEqual([x.uses, y.uses]);
    expect((await stack.preview(program)).filter(({ change: one }) => one !== "same")).toEqual([]);
  };
  const first = programOf(lab, ...straight, ["x", "y"]);
  await change([OF_X], () => change([OF_Y], () => stack.up(first), { to: [B] }), { to: [A] });
  await moveTo(crossed, ["x", "y"], true);
  await moveTo(straight, ["y", "x"], true);
  await moveTo(crossed, ["x", "y"], false);
  await change(PODS, () => stack.destroy(), { established: "cut" });
}

scenario(
  "two gateways on two nodes exchange their egress IPs in one up, whichever comes first",
  { senders: PODS, unbroken: true, timeoutMs: 300_000 },
  (scene) => swapTwice(scene, ["gateway-1", "gateway-2"]),
);

scenario(
  "two gateways on one node exchange their egress IPs in one up, whichever comes first",
  { senders: PODS, unbroken: true, timeoutMs: 300_000 },
  (scene) => swapTwice(scene, ["gateway-1", "gateway-1"]),
);

scenario(
  "a gateway hands an egress IP over to another, which is updated before it",
  { senders: PODS, unbroken: true, timeoutMs: 300_000 },
  async ({ lab, stack, change }) => {
    const order = ["y", "x"];
    const before = programOf(
      lab,
      { ips: [A, SPARE], on: "gateway-1", uses: A },
      { ips: [B], on: "gateway-2", uses: B },
      order,
    );
    await change([OF_X], () => change([OF_Y], () => stack.up(before), { to: [B] }), { to: [A] });
    const after = programOf(
      lab,
      { ips: [SPARE], on: "gateway-1", uses: SPARE },
      { ips: [B, A], on: "gateway-2", uses: A },
      order,
    );
    // Who takes it alone is told who holds it, and nothing has changed; also where the registry names the taker already.
    const entry = `/var/lib/pulumi-egress/registry/lab/ip-${A}`;
    const owner = `sed -i 's/"owner":"[^"]*"/"owner":"${stack.id("y")}"/' ${entry}`;
    for (const state of ["true", `cp ${entry} /run/kept && ${owner}`]) {
      await execOk(lab, "gateway-1", ["sh", "-c", state]);
      await expect(stack.up(after, { target: ["y"] })).rejects.toThrow(
        `egress IP ${A} is already held by organization/test/dev/x in fleet "lab", which does not give it up before this gateway takes it.`,
      );
      expect(await holders(lab, A)).toEqual(["gateway-1"]);
    }
    await execOk(lab, "gateway-1", ["mv", "/run/kept", entry]);
    expect((await stack.preview(before)).filter(({ change: one }) => one !== "same")).toEqual([]);

    await change([OF_X], () => change([OF_Y], () => stack.up(after, { parallel: 1 }), { to: [A] }), { to: [SPARE] });
    expect(await holders(lab, A)).toEqual(["gateway-2"]);
    expect([await shown(lab, OF_X), await shown(lab, OF_Y)]).toEqual([SPARE, A]);
    expect((await stack.preview(after)).filter(({ change: one }) => one !== "same")).toEqual([]);
    await change(PODS, () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "a gateway that is replaced by force, and moves, hands an egress IP over to another in the same up",
  { senders: PODS, unbroken: true, timeoutMs: 300_000 },
  async ({ lab, stack, change }) => {
    for (const order of [
      ["y", "x"],
      ["x", "y"],
    ]) {
      const y = { ips: [B], on: "gateway-2", uses: B };
      const before = programOf(lab, { ips: [A, SPARE], on: "gateway-1", uses: A }, y, order);
      await change([OF_X], () => change([OF_Y], () => stack.up(before), { to: [B] }), { to: [A] });
      const after = programOf(
        lab,
        { ips: [SPARE], on: "gateway-2", uses: SPARE },
        { ips: [B, A], on: "gateway-2", uses: A },
        order,
      );
      const id = stack.id("x");
      const wishes = [{ ips: [A], on: "gateway-2", uses: A }];
      const twice = watchTwice(lab, wishes, ["gateway-1", "gateway-2"]);
      const up = () => stack.up(after, { replace: ["x"] });
      await change([OF_X], () => change([OF_Y], up, { to: [A] }), { to: [SPARE] }).finally(() => twice.stop());
      expect(await twice.stop()).toEqual([]);
      expect(stack.id("x")).toBe(id);
      expect([await holders(lab, A), await holders(lab, SPARE)]).toEqual([["gateway-2"], ["gateway-2"]]);
      expect([await shown(lab, OF_X), await shown(lab, OF_Y)]).toEqual([SPARE, A]);
      expect((await stack.preview(after)).filter(({ change: one }) => one !== "same")).toEqual([]);
      await change(PODS, () => stack.destroy(), { established: "cut" });
    }
  },
);
