import * as pulumi from "@pulumi/pulumi";

type Inputs = Record<string, unknown>;

test("policies say in which order the program makes them, for each gateway apart", async () => {
  const made: Record<string, Inputs> = {};
  await pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => {
      made[name] = inputs as Inputs;
      return { id: name, state: { ...inputs, ref: { id: name } } as Inputs };
    },
    call: () => ({}),
  });
  const { EgressGateway, EgressPolicy } = await import("../../../provider");
  const gateway = (name: string) => new EgressGateway(name, { gateways: [], egressIPs: ["192.0.2.1"] });
  const [one, two] = [gateway("one"), gateway("two")];
  const all = { sources: { cidrs: ["10.0.1.1"] }, allocation: "round-robin" as const };
  new EgressPolicy("a", { gateway: one, ...all });
  new EgressPolicy("fixed", { gateway: one, sources: all.sources, egressIP: "192.0.2.1" });
  new EgressPolicy("b", { gateway: two, ...all });
  new EgressPolicy("c", { gateway: one, ...all });
  new EgressPolicy("d", { gateway: two.ref, ...all });
  new EgressPolicy("e", { gateway: one.ref, ...all });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(["a", "b", "c", "d", "e"].map((name) => made[name]?.turn)).toEqual([0, 0, 1, 0, 1]);
  // Each knows of all, also those made after it.
  expect(Object.values(made).flatMap(({ declared }) => declared ?? [])).toEqual([6, 6, 6, 6, 6, 6]);
});
