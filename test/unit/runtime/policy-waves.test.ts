import type { PolicyClaim } from "../../../provider/model/claim";
import { gateOf } from "../../../provider/runtime/policy-rollout";
import { claimOf, type PolicyState } from "../../../provider/runtime/policy-state";
import { replacing } from "../../../provider/runtime/policy-waves";
import { forgetRun, memory } from "../../../provider/runtime/run-memory";

const nodes = { "client-1": "192.0.2.91", "gateway-1": "192.0.2.92", "gateway-2": "192.0.2.93" };
const gateway = {
  id: "gateway-a",
  name: "gateway",
  fleet: "lab",
  egressIPs: ["192.0.2.1", "192.0.2.2"],
  placement: { "192.0.2.1": "gateway-1", "192.0.2.2": "gateway-2" },
  ignore: [],
  connection: {},
};

function state(change: Partial<PolicyState>): PolicyState {
  return {
    gateway: { ...gateway, nodes },
    label: { project: "shop", stack: "prod", name: "policy" },
    ownerId: "policy-1",
    sources: { cidrs: ["10.0.1.11/32"] },
    egressIP: "192.0.2.1",
    ...change,
  };
}

type Found = Readonly<Record<string, PolicyClaim>>;
const changeOf = (recorded: PolicyState | undefined, state: PolicyState, found: Found = {}) => ({
  recorded,
  state,
  found: new Map(Object.entries(found)),
});

/** Who gets what in each wave: `node: sources (and what is still selected)`. */
function waves(recorded: PolicyState | undefined, after: PolicyState, found: Found = {}): string[][] {
  const print = ({ sources, also = [] }: PolicyClaim): string =>
    [sources.join(" "), ...also.map((one) => `also ${one.sources.join(" ")} by ${one.egressIP}`)].join(" ");
  return replacing(changeOf(recorded, after, found)).map((wave) =>
    wave.flatMap(({ session, change }) =>
      change.write.flatMap((claim) => (claim.kind === "policy" ? [`${session.name}: ${print(claim)}`] : [])),
    ),
  );
}

const others = ["10.0.1.12/32", "10.0.1.13/32"];

describe("the waves of a policy", () => {
  test("that comes: the node that translates, then those that choose", () => {
    expect(waves(undefined, state({}))).toEqual([
      ["gateway-1: 10.0.1.11/32"],
      ["client-1: 10.0.1.11/32", "gateway-2: 10.0.1.11/32"],
      [],
      [],
    ]);
  });

  test("whose sources are exchanged: it takes in the first two and lets go in the last two", () => {
    const both = "10.0.1.12/32 also 10.0.1.11/32 by 192.0.2.1";
    expect(waves(state({}), state({ sources: { cidrs: ["10.0.1.12/32"] } }))).toEqual([
      [`gateway-1: ${both}`],
      [`client-1: ${both}`, `gateway-2: ${both}`],
      ["client-1: 10.0.1.12/32", "gateway-2: 10.0.1.12/32"],
      ["gateway-1: 10.0.1.12/32"],
    ]);
  });

  test("whose sources and address change: what it lets go of keeps the address that it had", () => {
    const [first, , , last] = waves(state({}), state({ sources: { cidrs: ["10.0.1.12/32"] }, egressIP: "192.0.2.2" }));
    expect(first).toEqual(["gateway-2: 10.0.1.12/32 also 10.0.1.11/32 by 192.0.2.1"]);
    expect(last).toEqual(["gateway-1: 10.0.1.12/32"]);
  });

  test("that only loses sources: nothing before the third", () => {
    const before = state({ sources: { cidrs: ["10.0.1.11/32", ...others] } });
    expect(waves(before, state({})).map((wave) => wave.length)).toEqual([0, 0, 2, 1]);
  });

  test("that only gains sources, gets another address, or is repaired: nothing after the second", () => {
    const more = state({ sources: { cidrs: ["10.0.1.11/32", ...others] } });
    for (const after of [more, state({ egressIP: "192.0.2.2" }), state({})]) {
      expect(waves(state({}), after).map((wave) => wave.length)).toEqual([1, 2, 0, 0]);
    }
  });

  test("whose destinations change: both selections, each whole, until all have taken the new one", () => {
    const before = state({ destinations: { cidrs: ["203.0.113.0/24"] } });
    const [first] = replacing(changeOf(before, state({ destinations: { cidrs: ["198.51.100.0/24"] } })));
    expect(first?.[0]?.change.write).toMatchObject([
      {
        destinations: ["198.51.100.0/24"],
        also: [{ sources: ["10.0.1.11/32"], destinations: ["203.0.113.0/24"], except: [] }],
      },
    ]);
  });
});

describe("where a policy could not take what it is to select", () => {
  const named = (name: string, ...cidrs: string[]) =>
    state({ label: { project: "shop", stack: "prod", name }, ownerId: name, sources: { cidrs } });
  const [had, has] = [named("q", "10.0.1.0/24"), named("q", "10.0.1.64/26")];
  const letsGo = () => gateOf(changeOf(had, has)).enter(2);
  beforeEach(forgetRun);

  test.each([
    ["new", undefined],
    ["changed", named("p", "10.0.9.0/24")],
  ])("it being %s, another one keeps what it was to take", (_, before) => {
    gateOf(changeOf(before, named("p", "10.0.1.7/32", "10.0.9.0/24"))).failed(1);
    expect(letsGo).toThrow(/^policy q: keeps what it has, since policy p failed in this run/);
    expect(() => gateOf(changeOf(had, has)).enter(1)).not.toThrow();
  });

  test("another one lets go of what it was not to take, or had", () => {
    gateOf(changeOf(undefined, named("p", "10.0.2.7/32"))).failed(1);
    const same = named("r", "10.0.1.7/32");
    gateOf(changeOf(same, same)).failed(1);
    gateOf(changeOf(named("s", "10.0.9.0/24"), named("s", "10.0.1.7/32"))).failed(2);
    expect(letsGo).not.toThrow();
  });

  test("another one does not, where it is no policy, but has its name", () => {
    memory.notTaken.set("gateway q", ["0.0.0.0/0"]);
    expect(letsGo).toThrow(/^policy q: keeps what it has, since gateway q failed in this run/);
  });

  test("it lets go itself when it has taken it at last", () => {
    gateOf(changeOf(had, has)).failed(0);
    gateOf(changeOf(undefined, named("q", "10.0.1.7/32"))).failed(1);
    expect(letsGo).not.toThrow();
  });
});

describe("where nodes have something else than state says", () => {
  const recorded = state({});
  const claim = (change: Partial<PolicyClaim>) => ({ ...claimOf(recorded), ...change });

  test("what an update that failed has selected besides is let go of after all have taken, where it is", () => {
    const found = { "client-1": claim({ sources: ["10.0.1.11/32", "10.0.1.13/32"] }) };
    expect(waves(recorded, recorded, found)).toEqual([
      ["gateway-1: 10.0.1.11/32"],
      ["gateway-2: 10.0.1.11/32"],
      ["client-1: 10.0.1.11/32"],
      [],
    ]);
  });

  test("so is what it has selected by another egress IP, and what still is selected from before that", () => {
    const former = { ...claim({ sources: ["10.0.1.14/32"] }) };
    const other = claim({ sources: ["10.0.1.11/32", "10.0.1.13/32"], egressIP: "192.0.2.2", also: [former] });
    const also = "also 10.0.1.11/32 10.0.1.13/32 by 192.0.2.2 also 10.0.1.14/32 by 192.0.2.1";
    expect(waves(recorded, recorded, { "client-1": other, "gateway-2": other })).toEqual([
      ["gateway-1: 10.0.1.11/32"],
      [`client-1: 10.0.1.11/32 ${also}`, `gateway-2: 10.0.1.11/32 ${also}`],
      ["client-1: 10.0.1.11/32"],
      ["gateway-2: 10.0.1.11/32"],
    ]);
  });

  test("what one that has come to its end was yet to let go of waits for all others, too", () => {
    const now = state({ sources: { cidrs: ["10.0.1.12/32"] }, egressIP: "192.0.2.2" });
    const { gateway: id, egressIP, sources, destinations, except } = claim({});
    const owing = { ...claimOf(now), also: [{ gateway: id, egressIP, sources, destinations, except }] };
    const found = { "client-1": owing, "gateway-1": owing, "gateway-2": owing };
    expect(waves(now, now, found)).toEqual([
      [],
      [],
      ["client-1: 10.0.1.12/32"],
      ["gateway-1: 10.0.1.12/32", "gateway-2: 10.0.1.12/32"],
    ]);
  });

  test("a node that an update did not come to takes first, and where it fails others keep what it was to take", () => {
    const after = state({ sources: { cidrs: ["10.0.1.11/32", "10.0.1.12/32"] } });
    const found = { "client-1": claimOf(recorded), "gateway-1": claimOf(after), "gateway-2": claimOf(after) };
    expect(waves(after, after, found)[1]).toContain("client-1: 10.0.1.11/32 10.0.1.12/32");
    const less = state({ sources: { cidrs: ["10.0.1.12/32"] } });
    expect(waves(recorded, less, found)).toEqual([
      [],
      ["client-1: 10.0.1.12/32 also 10.0.1.11/32 by 192.0.2.1"],
      ["client-1: 10.0.1.12/32", "gateway-2: 10.0.1.12/32"],
      ["gateway-1: 10.0.1.12/32"],
    ]);
    forgetRun();
    gateOf(changeOf(after, after, found)).failed(1);
    expect([...memory.notTaken]).toEqual([["policy policy", ["10.0.1.11/32", "10.0.1.12/32"]]]);
  });
});
