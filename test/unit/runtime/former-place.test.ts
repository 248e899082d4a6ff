import type { NodeMarkArgs } from "../../../provider/model/args";
import type { ConnectionRef } from "../../../provider/model/connection";
import { formerPlaceProblems } from "../../../provider/runtime/former-place";
import type { Looked } from "../../../provider/runtime/look";
import type { NodeMarkState } from "../../../provider/runtime/node-mark-state";
import { nodeClaim, owner } from "../reconcile/states";
import { seen, unreachable } from "./snapshots";

/** What is found by a connection: host and namespace. */
let places: Record<string, Looked> = {};
const mockAt = ({ host, netns }: ConnectionRef): Looked => places[`${host} ${netns}`] ?? unreachable("egress-1");
jest.mock("../../../provider/runtime/context", () => ({
  session: (_: string, connection: ConnectionRef) => ({
    snapshot: async () => {
      const { snapshot, error } = mockAt(connection);
      if (!snapshot) throw error;
      return snapshot;
    },
  }),
}));

const HELD = { host: "192.0.2.91", netns: "old" };
const ours = seen({ claims: [nodeClaim("client-1", { owner: owner("node-egress-1"), netns: "old" })] });
const others = seen({ claims: [nodeClaim("client-1", { owner: owner("node-of-others") })] });

async function found(now: Looked, there: Record<string, Looked>, held: ConnectionRef = HELD): Promise<string[]> {
  places = there;
  const state = { node: "egress-1", ownerId: "node-egress-1", connection: held } as unknown as NodeMarkState;
  const args = { node: "egress-1", connection: { host: "192.0.2.91", netns: "new" } } as unknown as NodeMarkArgs;
  const problems = await formerPlaceProblems(state, args, now.snapshot);
  return problems.map(({ path, message }) => `${path}: ${message}`);
}

const refusal =
  'connection.netns: node "egress-1" is still programmed in network namespace "old" of 192.0.2.91, and nobody would take that down. Run again when that pod is gone, or take the node out of its gateways and destroy its NodeMark first.';

test("another namespace is refused while the one before is there and programmed", async () => {
  expect(await found(seen({}), { "192.0.2.91 old": ours })).toEqual([refusal]);
});

test("not where that one is gone, or is another's by now", async () => {
  expect(await found(seen({}), {})).toEqual([]);
  expect(await found(seen({}), { "192.0.2.91 old": seen({}) })).toEqual([]);
  expect(await found(seen({}), { "192.0.2.91 old": others })).toEqual([]);
});

test("nor where what the connection names is that very place, by another way", async () => {
  expect(await found(ours, { "192.0.2.91 old": ours })).toEqual([]);
});

test("a machine's other host is not asked for", async () => {
  expect(await found(seen({}), { "192.0.2.91 undefined": ours }, { host: "192.0.2.91" })).toEqual([]);
});
