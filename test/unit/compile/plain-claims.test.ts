import { cutsOf } from "../../../provider/compile/cuts";
import { compileNode } from "../../../provider/compile/node";
import { textOf } from "../../../provider/kernel/state";
import type { Claim } from "../../../provider/model/claim";
import { plan } from "../../../provider/reconcile/plan";
import { allPaths, type Path, valueAt, withValue } from "../model/edit";
import { FACTS, gatewayClaim, nodeClaim, policyClaim } from "../reconcile/states";

const { egressIP, sources, destinations, except, gateway } = policyClaim("web", { except: ["203.0.113.9/32"] });

/** All that a claim can have, on a node that is gateway and client. */
const CLAIMS: Readonly<Record<Claim["kind"], Claim>> = {
  node: nodeClaim("gateway-1"),
  gateway: gatewayClaim({ hold: ["192.0.2.2"], extraIgnore: ["203.0.113.64/26"] }),
  policy: policyClaim("web", {
    egressIP: "192.0.2.2",
    sources: ["10.0.1.12/32"],
    except,
    also: [{ egressIP, sources, destinations, except, gateway }],
  }),
};

/** Everything that a tool on the node is to read. */
function textOn(claims: readonly Claim[]): string {
  const objects = compileNode(claims, FACTS).map(({ object }) => object);
  const steps = [...plan(objects, []), ...plan([], objects)].flatMap(({ input, undo }) => [...input, ...undo]);
  return [...objects.map(textOf), ...steps, JSON.stringify(cutsOf(claims, [], FACTS))].join("\n");
}

const changed = (kind: Claim["kind"], path: Path, value: unknown): Claim[] =>
  Object.values({ ...CLAIMS, [kind]: withValue(CLAIMS[kind], path, value) as Claim });

const kinds = Object.keys(CLAIMS) as Claim["kind"][];
const leaves = kinds.flatMap((kind) =>
  allPaths(CLAIMS[kind])
    .filter((path) => typeof valueAt(CLAIMS[kind], path) !== "object")
    .map((path) => [kind, path.join("."), path] as const),
);

test("claims that are plain compile", () =>
  expect(textOn(Object.values(CLAIMS))).toContain("addr add 192.0.2.1/32 dev eth0"));

test.each(leaves)("%s %s: what is not plain is refused, or is in no text", (kind, _, path) => {
  const before = String(valueAt(CLAIMS[kind], path));
  for (const tail of [" dev ZAP", "\nZAP", "';ZAP", "$(ZAP)"]) {
    let text = "";
    try {
      text = textOn(changed(kind, path, `${before}${tail}`));
    } catch (error) {
      expect((error as Error).message).toMatch(/^claim [a-z0-9-]+: ".*" is not .*, so nothing is made of it$/);
    }
    expect(text).not.toContain("ZAP");
  }
});

const text = {
  node: ["underlay", "uplink", "fleet.tunnelCIDR", "fleet.ignore.0"],
  gateway: ["hold.0", "extraIgnore.0"],
};
const selection = ["egressIP", "sources.0", "destinations.0", "except.0"];

test.each<[Claim["kind"], string]>([
  ...text.node.map((path): [Claim["kind"], string] => ["node", path]),
  ...text.gateway.map((path): [Claim["kind"], string] => ["gateway", path]),
  ["gateway", "nodes.client-1.underlay"],
  ...[...selection, ...selection.map((path) => `also.0.${path}`)].map((path): [Claim["kind"], string] => [
    "policy",
    path,
  ]),
])("%s %s may be nothing else", (kind, path) => {
  for (const value of ["192.168.0.101 dev lo", "fe80::1", 7, null])
    expect(() => textOn(changed(kind, path.split("."), value))).toThrow(`${JSON.stringify(value)} is not`);
});

test.each<[Claim["kind"], string]>([
  ...["index", "mtu", "fleet.tunnelPort", "fleet.vni", "fleet.rulePreference"].map((path): [Claim["kind"], string] => [
    "node",
    path,
  ]),
  ["gateway", "nodes.client-1.index"],
])("%s %s may be no text", (kind, path) => {
  expect(() => textOn(changed(kind, path.split("."), "12"))).toThrow('"12" is not a whole number');
});

test("the addresses of a placement are its keys", () => {
  expect(() => textOn(changed("gateway", ["placement", "192.0.2.3 dev lo"], "gateway-1"))).toThrow(
    'claim gateway-a: "192.0.2.3 dev lo" is not an IPv4 address, so nothing is made of it',
  );
});

test("a routing table that a node remembers is a number", () => {
  const facts = { ...FACTS, tables: { ...FACTS.tables, 11: "3011 proto 3" as unknown as number } };
  expect(() => compileNode(Object.values(CLAIMS), facts)).toThrow(
    'routing tables: "3011 proto 3" is not a whole number, so nothing is made of it',
  );
});
