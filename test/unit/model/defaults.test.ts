import fc from "fast-check";
import {
  expandEgressIPs,
  normalizeDestinations,
  normalizeFleet,
  normalizeSources,
} from "../../../provider/model/defaults";
import { fleet } from "./inputs";

test("a fleet gets all defaults, and one list of what it ignores", () => {
  expect(normalizeFleet({ ...fleet, ignore: { ...fleet.ignore, extra: ["198.51.100.7", "10.0.3.0/24"] } })).toEqual({
    name: "prod",
    ignore: ["10.0.0.0/16", "10.96.0.0/16", "192.168.0.0/24", "198.51.100.7/32"],
    tunnelPort: 4790,
    vni: 4097,
    tunnelCIDR: "100.126.0.0/16",
    tables: { start: 3000, count: 100 },
    rulePreference: 5000,
  });
});

test("what the user sets is kept", () => {
  const settings = { tunnelPort: 1, vni: 2, tunnelCIDR: "100.64.0.0/18", tables: { start: 500 }, rulePreference: 3 };
  expect(normalizeFleet({ ...fleet, ...settings })).toMatchObject({ ...settings, tables: { start: 500, count: 100 } });
});

test("the order of ignored networks does not matter", () => {
  const { pods, services, nodes } = fleet.ignore;
  expect(
    normalizeFleet({ ...fleet, ignore: { ...fleet.ignore, pods: nodes, services: pods, nodes: services } }),
  ).toEqual(normalizeFleet(fleet));
});

test("egress IPs are expanded in the order in which they are written, each once", () => {
  expect(expandEgressIPs(["192.0.2.9", "192.0.2.1-192.0.2.3", "192.0.2.2", "192.0.2.8/31"])).toEqual([
    "192.0.2.9",
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "192.0.2.8",
  ]);
});

test("sources and destinations are canonical, sorted and minimal", () => {
  expect(normalizeSources({ cidrs: ["10.0.2.1", "10.0.1.0/24", "10.0.1.7/32"] })).toEqual([
    "10.0.1.0/24",
    "10.0.2.1/32",
  ]);
  expect(normalizeDestinations(undefined)).toEqual({ destinations: [], except: [] });
  expect(normalizeDestinations({ cidrs: ["203.0.113.9", "203.0.113.0/24"], except: ["203.0.113.8"] })).toEqual({
    destinations: ["203.0.113.0/24"],
    except: ["203.0.113.8/32"],
  });
});

test("sources do not depend on their order", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(["10.0.1.0/24", "10.0.2.0/24", "10.0.1.1", "10.9.0.0/16"]), (cidrs) => {
      expect(normalizeSources({ cidrs })).toEqual(normalizeSources({ cidrs: [...cidrs].sort() }));
    }),
  );
});
