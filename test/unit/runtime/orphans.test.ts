import type { KernelObject, Owned } from "../../../provider/kernel/state";
import { orphanSets, withoutOrphans } from "../../../provider/runtime/orphans";

const set = (hash: string): KernelObject => ({ kind: "ipset", name: `egw-s-${hash}`, type: "hash:net", timeout: 0 });
const rule = (hash: string): KernelObject => ({
  kind: "chain-rule",
  table: "nat",
  chain: "EGRESSGATEWAY-CHOOSE",
  position: 0,
  rule: `-m set --match-set egw-s-${hash} src -j MARK --set-xmark 0x26000100/0xffff3f00`,
});
const [ONE, TWO] = ["1111111111", "2222222222"] as const;
const wanted = (hash: string): Owned[] => [set(hash), rule(hash)].map((object) => ({ object, owner: "policy" }));
const node = [set(ONE), rule(ONE), set(TWO), rule(TWO)];

test("sets that no claim knows are found, and left alone until they are wanted again", () => {
  expect(orphanSets(node, wanted(ONE))).toEqual([`egw-s-${TWO}`]);
  const orphans = new Set([`egw-s-${TWO}`]);
  expect(withoutOrphans(node, orphans, wanted(ONE))).toEqual([set(ONE), rule(ONE)]);
  expect(withoutOrphans(node, orphans, [...wanted(ONE), ...wanted(TWO)])).toEqual(node);
});

test("on a node that had none, what is no longer wanted is not hidden", () => {
  expect(orphanSets([], [])).toEqual([]);
  expect(withoutOrphans(node, new Set(), [])).toEqual(node);
});
