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
  const sources = { cidrs: ["10.0.1.1"] };
  new EgressPolicy("a", { gateway: one, sources });
  new EgressPolicy("b", { gateway: two, sources });
  new EgressPolicy("c", { gateway: one, sources });
  new EgressPolicy("d", { gateway: two.ref, sources });
  new EgressPolicy("e", { gateway: one.ref, sources });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(["a", "b", "c", "d", "e"].map((name) => made[name]?.turn)).toEqual([0, 0, 1, 0, 1]);
});
