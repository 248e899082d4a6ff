import { allocateMark } from "../../../provider/model/allocation";
import type { NodeMarkArgs } from "../../../provider/model/args";
import type { Claim } from "../../../provider/model/claim";
import { normalizeFleet } from "../../../provider/model/defaults";
import { hex, markOf } from "../../../provider/model/mark";
import { chooseIndex } from "../../../provider/runtime/node-mark-problems";
import { forgetRun } from "../../../provider/runtime/run-memory";

const connection = { host: "192.0.2.1" };
const fleet = {
  name: "lab",
  registry: { node: "gw-1", connection },
  ignore: { pods: ["10.0.0.0/16"], services: ["10.96.0.0/16"], nodes: ["192.0.2.0/24"] },
};
const argsOf = (node: string, more: Partial<NodeMarkArgs> = {}): NodeMarkArgs => ({
  node,
  fleet,
  connection,
  underlayIP: "192.0.2.1",
  ...more,
});
const wanted = allocateMark("new", "lab", new Set());
const owner = (id: string) => ({ id, project: "shop", stack: "prod", name: id });

const nodeClaim: Claim = {
  kind: "node",
  owner: owner("node-old"),
  node: "old",
  index: wanted,
  underlay: "192.0.2.2",
  uplink: "eth0",
  mtu: 1450,
  fleet: normalizeFleet(fleet),
};
const gatewayClaim: Claim = {
  kind: "gateway",
  owner: owner("gateway-a"),
  nodes: { old: { index: wanted, underlay: "192.0.2.2", gateway: false } },
  placement: {},
  hold: [],
  extraIgnore: [],
  onTunnelLoss: "drop",
  inbound: "drop",
  weave: false,
};

beforeEach(forgetRun);

describe("a new node whose fleet's registry is lost", () => {
  test("gets the mark of its hash where nobody has it", () => {
    expect(chooseIndex(argsOf("new"), undefined, "node-new", undefined)).toEqual({ index: wanted, problems: [] });
  });

  test("does not get what an existing node of this run holds", () => {
    expect(chooseIndex(argsOf("old"), { index: wanted }, "node-old", undefined).index).toBe(wanted);
    const { index, problems } = chooseIndex(argsOf("new"), undefined, "node-new", undefined);
    expect(problems).toEqual([]);
    expect(index).not.toBe(wanted);
  });

  test.each([
    ["its own manifest", nodeClaim],
    ["a gateway that uses it", gatewayClaim],
  ])("does not get what %s says of a node that was seen", (_, claim) => {
    const { index, problems } = chooseIndex(argsOf("new"), undefined, "node-new", undefined, [claim]);
    expect(problems).toEqual([]);
    expect(index).not.toBe(wanted);
    const mark = hex(markOf(wanted));
    expect(chooseIndex(argsOf("new", { mark }), undefined, "node-new", undefined, [claim]).problems).toEqual([
      {
        path: "mark",
        message: `${mark} is already held by node old in fleet "lab". Leave mark out to get a free one.`,
      },
    ]);
  });

  test("keeps what it has itself", () => {
    expect(chooseIndex(argsOf("old"), { index: wanted }, "node-old", undefined, [nodeClaim, gatewayClaim])).toEqual({
      index: wanted,
      problems: [],
    });
  });
});
