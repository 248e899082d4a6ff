import { UNKNOWN } from "../../../provider/model/args";
import { formatProblem } from "../../../provider/model/problem";
import { validateEgressGateway, validateEgressPolicy, validateNodeMark } from "../../../provider/model/validate";
import { type Path, withValue } from "./edit";
import { egressGateway, egressPolicy, gatewayRef, nodeMark, nodeRef } from "./inputs";

const inputs = {
  nodeMark: { input: nodeMark, validate: validateNodeMark },
  gateway: { input: egressGateway, validate: validateEgressGateway },
  policy: { input: egressPolicy, validate: validateEgressPolicy },
} as const;

/** Each would be a problem, but for the part that is not known yet. */
test.each<[string, keyof typeof inputs, [Path, unknown][]]>([
  [
    "an address outside the nodes' networks",
    "nodeMark",
    [
      [["underlayIP"], "192.168.7.7"],
      [["fleet", "ignore", "nodes", 1], UNKNOWN],
    ],
  ],
  ["tables without their start", "nodeMark", [[["fleet", "tables"], { start: UNKNOWN, count: 10000 }]]],
  ["tables without their count", "nodeMark", [[["fleet", "tables"], { start: 200, count: UNKNOWN }]]],
  ["a placed address", "gateway", [[["egressIPs"], [UNKNOWN]]]],
  ["a placed address among others", "gateway", [[["egressIPs"], ["192.0.2.1", UNKNOWN]]]],
  [
    "a placement on a node",
    "gateway",
    [
      [["gateways", 1], UNKNOWN],
      [["clients"], []],
    ],
  ],
  ["an egress IP", "policy", [[["gateway"], { ...gatewayRef, egressIPs: ["192.0.2.1", UNKNOWN] }]]],
  [
    "an exception outside the destinations",
    "policy",
    [[["destinations"], { cidrs: ["203.0.113.0/24", UNKNOWN], except: ["198.51.100.0/24"] }]],
  ],
  [
    "an exception that leaves nothing",
    "policy",
    [[["destinations"], { cidrs: ["203.0.113.0/24", UNKNOWN], except: ["203.0.113.0/24"] }]],
  ],
  [
    "an egress IP or an allocation",
    "policy",
    [
      [["egressIP"], UNKNOWN],
      [["allocation"], "round-robin"],
    ],
  ],
])("%s: not judged before all of it is known", (_, kind, edits) => {
  const { input, validate } = inputs[kind];
  expect(validate(edits.reduce<unknown>((value, [path, part]) => withValue(value, path, part), input))).toEqual([]);
});

test("what is malformed is reported once, not again by rules that build on it", () => {
  const gateway = { gateways: [nodeRef("gw-1", 101), {}], egressIPs: ["192.0.2.1", "x"] };
  expect(validateEgressGateway({ ...gateway, placement: { "192.0.2.9": "gw-9" } }).map(({ path }) => path)).toEqual([
    "egressIPs[1]",
    "gateways[1]",
  ]);
  for (const except of [["203.0.113.0/24"], ["198.51.100.0/24"]]) {
    const policy = { ...egressPolicy, destinations: { cidrs: ["203.0.113.0/24", "x"], except } };
    expect(validateEgressPolicy(policy).map(({ path }) => path)).toEqual(["destinations.cidrs[1]"]);
  }
  const tables = withValue(nodeMark, ["fleet", "tables"], { start: "200" });
  expect(validateNodeMark(tables).map(({ path }) => path)).toEqual(["fleet.tables.start"]);
});

test("the one gateway node that there is, is named", () => {
  const input = { gateways: [nodeRef("gw-1", 101)], egressIPs: ["192.0.2.1"], placement: { "192.0.2.1": "worker-1" } };
  expect(validateEgressGateway(input).map(formatProblem)).toEqual([
    'placement["192.0.2.1"]: Unknown gateway node "worker-1". There is "gw-1".',
  ]);
});
