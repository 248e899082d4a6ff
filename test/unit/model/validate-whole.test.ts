import fc from "fast-check";
import { UNKNOWN } from "../../../provider/model/args";
import { formatProblem } from "../../../provider/model/problem";
import { validateEgressGateway, validateEgressPolicy, validateNodeMark } from "../../../provider/model/validate";
import { allPaths, valueAt, withValue } from "./edit";
import { connection, egressGateway, egressPolicy, nodeMark, nodeRef } from "./inputs";

const { egressIP, ...withoutEgressIP } = egressPolicy;

const validators = [
  ["NodeMark", validateNodeMark, nodeMark],
  ["EgressGateway", validateEgressGateway, egressGateway],
  ["EgressPolicy", validateEgressPolicy, egressPolicy],
  ["EgressPolicy with an allocation", validateEgressPolicy, { ...withoutEgressIP, allocation: "round-robin" }],
] as const;

test.each(validators)("%s: no value that is unknown is a problem", (_, validate, input) => {
  const paths = allPaths(input);
  expect(paths.length).toBeGreaterThan(20);
  for (const path of paths) expect(validate(withValue(input, path, UNKNOWN))).toEqual([]);
});

test.each(validators)("%s: any values may be unknown together", (_, validate, input) => {
  fc.assert(
    fc.property(
      fc.subarray(
        allPaths(input).filter((path) => path.length > 0),
        { maxLength: 12 },
      ),
      (paths) => {
        // Deep ones first: what is below something unknown is unknown anyway.
        const unknown = [...paths]
          .sort((a, b) => b.length - a.length)
          .reduce<unknown>((v, path) => withValue(v, path, UNKNOWN), input);
        expect(validate(unknown)).toEqual([]);
      },
    ),
  );
});

const sentence =
  /^[^\n]+: (This is|There is|The |An? |Node |Unknown |"|null|true|-?[\d.]).*(\.|\.? Did you mean "[^"]+"\?)$/;

test.each(validators)("%s: a value of a wrong type is a problem, in sentences", (_, validate, input) => {
  // One node stands for all.
  const paths = allPaths(input).filter(([list, i]) => list !== "clients" && !(list === "gateways" && i === 1));
  for (const path of paths.filter((p) => p.length > 0)) {
    for (const value of [null, true, 7.5, "\0", [null], { x: 1 }]) {
      if (typeof value === typeof valueAt(input, path)) continue;
      const problems = validate(withValue(input, path, value));
      if (problems.length === 0) throw new Error(`${JSON.stringify(value)} is accepted at ${path.join(".")}`);
      for (const text of problems.map(formatProblem)) if (!sentence.test(text)) throw new Error(`no sentence: ${text}`);
    }
  }
});

test.each([validateNodeMark, validateEgressGateway, validateEgressPolicy])(
  "nothing crashes a validator",
  (validate) => {
    fc.assert(fc.property(fc.anything(), (input) => Array.isArray(validate(input))));
  },
);

test("all problems are reported at once, sorted by path, numbers in paths by value", () => {
  const input = {
    node: "Worker",
    fleet: {
      name: "prod",
      registry: { node: "gw-1", connection: { ...connection, port: 0 } },
      ignore: { pods: ["a", ...Array.from({ length: 9 }, (_, i) => `10.${i}.0.0/16`), "b"], nodes: ["192.168.0.0/24"] },
      tables: { start: 250 },
      tunelCIDR: "10.0.0.0/8",
    },
    connection: { host: "::1", privateKey: "hunter2" },
    underlayIP: "10.0.0.1",
  };
  expect(validateNodeMark(input).map(({ path }) => path)).toEqual([
    "connection.host",
    "connection.privateKey",
    "fleet.ignore.pods[0]",
    "fleet.ignore.pods[10]",
    "fleet.ignore.services",
    "fleet.registry.connection.port",
    "fleet.tables",
    "fleet.tunelCIDR",
    "node",
    "underlayIP",
  ]);
});

test("a gateway with a mistake in every part names them all", () => {
  const input = {
    gateways: [nodeRef("gw-1", 1), nodeRef("gw-1", 1), { ...nodeRef("gw-2", 1), fleet: "test" }, "gw-3"],
    egressIPs: ["192.0.2.1", "192.0.2.1", "::1"],
    placement: { "192.0.2.1": "gw1" },
    inbound: "no",
  };
  expect(validateEgressGateway(input).map(({ path }) => path)).toEqual([
    "egressIPs[1]",
    "egressIPs[2]",
    "gateways[1]",
    "gateways[2]",
    "gateways[2]",
    "gateways[2]",
    "gateways[3]",
    "inbound",
  ]);
});
