import type { PolicyClaim } from "../../../provider/model/claim";
import { gateOf } from "../../../provider/runtime/policy-rollout";
import { asFound, claimOf, type PolicyState } from "../../../provider/runtime/policy-state";
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

/** Who gets what in each wave: `node: sources (and what is still selected)`. */
function waves(before: PolicyState | undefined, after: PolicyState): string[][] {
  const print = ({ sources, also }: PolicyClaim): string =>
    `${sources.join(" ")}${also ? ` also ${also.sources.join(" ")} by ${also.egressIP}` : ""}`;
  return replacing(before, after).map((wave) =>
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
    const [first] = replacing(before, state({ destinations: { cidrs: ["198.51.100.0/24"] } }));
    expect(first?.[0]?.change.write).toMatchObject([
      {
        destinations: ["198.51.100.0/24"],
        also: { sources: ["10.0.1.11/32"], destinations: ["203.0.113.0/24"], except: [] },
      },
    ]);
  });
});

describe("where a policy could not take what it is to select", () => {
  const named = (name: string, ...cidrs: string[]) =>
    state({ label: { project: "shop", stack: "prod", name }, ownerId: name, sources: { cidrs } });
  const [had, has] = [named("q", "10.0.1.0/24"), named("q", "10.0.1.64/26")];
  const letsGo = () => gateOf(had, has).enter(2);
  beforeEach(forgetRun);

  test.each([
    ["new", undefined],
    ["changed", named("p", "10.0.9.0/24")],
  ])("it being %s, another one keeps what it was to take", (_, before) => {
    gateOf(before, named("p", "10.0.1.7/32", "10.0.9.0/24")).failed(1);
    expect(letsGo).toThrow(/^policy q: keeps what it has, since policy p failed in this run/);
    expect(() => gateOf(had, has).enter(1)).not.toThrow();
  });

  test("another one lets go of what it was not to take, or had", () => {
    gateOf(undefined, named("p", "10.0.2.7/32")).failed(1);
    const same = named("r", "10.0.1.7/32");
    gateOf(same, same).failed(1);
    gateOf(named("s", "10.0.9.0/24"), named("s", "10.0.1.7/32")).failed(2);
    expect(letsGo).not.toThrow();
  });

  test("another one does not, where it is no policy, but has its name", () => {
    memory.notTaken.set("gateway q", ["0.0.0.0/0"]);
    expect(letsGo).toThrow(/^policy q: keeps what it has, since gateway q failed in this run/);
  });

  test("it lets go itself when it has taken it at last", () => {
    gateOf(had, has).failed(0);
    gateOf(undefined, named("q", "10.0.1.7/32")).failed(1);
    expect(letsGo).not.toThrow();
  });
});

test("what an update that failed has selected on some nodes is let go of like what state knows of", () => {
  const before = state({ sources: { cidrs: ["10.0.1.11"] } });
  const claim = { ...claimOf(before), sources: ["10.0.1.11/32", "10.0.1.13/32"] };
  const also = { ...claim, sources: ["10.0.1.12/32"] };
  const found = (...claims: PolicyClaim[]) => asFound(before, before, claims);
  expect(found().sources.cidrs).toEqual(["10.0.1.11/32"]);
  expect(found({ ...claim, also }).sources.cidrs).toEqual(["10.0.1.11/32", "10.0.1.12/32", "10.0.1.13/32"]);
  expect(found({ ...claim, egressIP: "192.0.2.9" }).sources.cidrs).toEqual(["10.0.1.11/32"]);
  expect(waves(found(claim), before).map((wave) => wave.length)).toEqual([0, 0, 2, 1]);
});

test("what one that has come to its end was yet to let go of waits for all others, too", () => {
  const now = state({ sources: { cidrs: ["10.0.1.12/32"] }, egressIP: "192.0.2.2" });
  const owed = { gateway: "gateway-a", sources: ["10.0.1.11/32"], egressIP: "192.0.2.1", destinations: [], except: [] };
  const found = asFound(now, now, [claimOf(now), { ...claimOf(now), also: owed }]);
  expect(waves(found, now)).toEqual(waves(state({}), now));
  const next = state({ egressIP: "192.0.2.1" });
  expect(asFound(now, next, [{ ...claimOf(now), also: owed }]).egressIP).toBe("192.0.2.2");
});
