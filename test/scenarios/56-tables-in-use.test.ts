import { chooseTable } from "../../provider/compile/table-number";
import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const NODE = "client-1";
const PODS = ["pod-client-1-1", "pod-client-2-1"];
const TABLES = { start: 4000, count: 4 };
const ALL = Array.from({ length: TABLES.count }, (_, i) => TABLES.start + i);
const ROUTE = "198.51.100.0/24 via 192.168.0.1 dev eth0";
const RULE = "pref 100 fwmark 0x1/0xff";

const onNode = (lab: Lab, script: string): Promise<string> => execOk(lab, NODE, ["sh", "-e"], { input: script });
const take = (table: number): string => `ip route add ${ROUTE} table ${table}`;
const leave = (table: number): string => `ip route del ${ROUTE} table ${table}`;

/** The tables that legs to these nodes get where these are in use. */
function chosen(indices: readonly number[], used: readonly number[]): Record<string, number> {
  const tables: Record<string, number> = {};
  for (const index of indices)
    tables[index] = chooseTable(TABLES, `${NODE}/${index}`, new Set([...used, ...Object.values(tables)]));
  return tables;
}

/** Somebody takes a table when the next batch asks for the node's lock, after the probe that it was planned by. */
const takeBeforeBatch = (table: number): string => `cat >/usr/local/bin/flock <<'END'
#!/bin/sh
if [ "$1" != -s ]; then rm -f /usr/local/bin/flock; ${take(table)}; fi
exec /usr/bin/flock "$@"
END
chmod +x /usr/local/bin/flock`;

scenario("legs pass over tables that others use, also those that they take at the last moment", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const nodes = fleetOf(lab, { tables: TABLES });
  const program = [
    ...nodes,
    gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } }),
    policyOf("policy", "gateway", addressesOf(lab, PODS)),
  ];
  await stack.up(nodes);
  const indexOf = (node: string) => (stack.outputs(node).ref as { index: number }).index;
  const indices = ["gateway-1", "gateway-2"].map(indexOf).sort((a, b) => a - b);
  const [leg = 0] = indices;

  const [ruled = 0, ...routed] = ALL;
  await onNode(lab, [`ip rule add ${RULE} lookup ${ruled}`, ...routed.map(take)].join("\n"));
  const full = new RegExp(
    `node ${NODE} needs 2 routing tables.* has 4, 4 of which others use.*Raise fleet.tables.count`,
  );
  await expect(stack.preview(program)).rejects.toThrow(full);
  await expect(stack.up(program)).rejects.toThrow(full);
  await onNode(lab, [`ip rule del ${RULE} lookup ${ruled}`, ...routed.map(leave)].join("\n"));

  const first = chosen(indices, [])[leg] ?? 0;
  const next = chosen(indices, [first])[leg] ?? 0;
  await onNode(lab, [take(first), takeBeforeBatch(next)].join("\n"));
  await change(PODS, () => stack.up(program), { to: [EGRESS] });

  const { tables } = JSON.parse(await onNode(lab, "cat /var/lib/pulumi-egress/node.json"));
  expect(tables).toEqual(chosen(indices, [first, next]));
  expect(await onNode(lab, `for t in ${first} ${next}; do ip route show table $t; done`)).toBe(
    `${ROUTE} \n${ROUTE} \n`,
  );
  expect((await podCall(lab, PODS[0] ?? "", lab.outside[0]?.address ?? "")).source).toBe(EGRESS);
  expect((await stack.preview(program)).filter((one) => one.change !== "same")).toEqual([]);

  await change(PODS, () => stack.destroy(), { established: "cut" });
  await onNode(lab, [first, next].map(leave).join("\n"));
});
