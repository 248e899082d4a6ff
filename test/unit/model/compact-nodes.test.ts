import fc from "fast-check";
import { compactNodes, expandNodes } from "../../../provider/model/compact-nodes";

const connection = fc.record(
  {
    host: fc.constantFrom("a", "b", "10.0.0.1"),
    port: fc.constantFrom(22, 2222),
    user: fc.constantFrom("root", "ops"),
    hostKey: fc.constantFrom("SHA256:x", "SHA256:y"),
  },
  { requiredKeys: ["host"] },
);

test("nodes come back as they were", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.record({ node: fc.stringMatching(/^[a-z]{1,4}$/), connection }), {
        selector: ({ node }) => node,
        maxLength: 6,
      }),
      (nodes) => {
        const sorted = [...nodes].sort((a, b) => (a.node < b.node ? -1 : 1));
        expect(expandNodes(compactNodes(nodes))).toEqual(sorted);
      },
    ),
  );
});

test("a fleet that shares its key costs one line a node", () => {
  const nodes = ["n1", "n2"].map((node, i) => ({
    node,
    connection: { host: `10.0.0.${i}`, user: "root", privateKey: "config:key" },
  }));
  expect(compactNodes(nodes)).toEqual({
    connection: { user: "root", privateKey: "config:key" },
    nodes: { n1: "10.0.0.0", n2: "10.0.0.1" },
  });
});
