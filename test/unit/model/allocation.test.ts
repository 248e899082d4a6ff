import fc from "fast-check";
import { allocateEgressIP, allocateMark } from "../../../provider/model/allocation";

const all = new Set(Array.from({ length: 16383 }, (_, i) => i + 1));
const without = (...free: number[]): Set<number> => new Set([...all].filter((index) => !free.includes(index)));

test("a mark is in 1..16383, free, and the same again", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.uniqueArray(fc.integer({ min: 1, max: 16383 })), (node, fleet, taken) => {
      const index = allocateMark(node, fleet, new Set(taken));
      expect(all.has(index) && !taken.includes(index)).toBe(true);
      expect(allocateMark(node, fleet, new Set(taken.reverse()))).toBe(index);
    }),
  );
});

test("a mark that is taken gives way to the next one, in a circle", () => {
  fc.assert(
    fc.property(fc.string(), (node) => {
      const first = allocateMark(node, "prod", new Set());
      expect(allocateMark(node, "prod", new Set([first]))).toBe((first % 16383) + 1);
    }),
  );
  expect(allocateMark("worker-1", "prod", without(1))).toBe(1);
  expect(allocateMark("worker-1", "prod", without(16383))).toBe(16383);
});

test("marks spread over the whole range, and the fleet's name counts", () => {
  const marks = Array.from({ length: 200 }, (_, i) => allocateMark(`worker-${i}`, "prod", new Set()));
  expect(new Set(marks).size).toBeGreaterThan(190);
  expect(Math.max(...marks)).toBeGreaterThan(12000);
  expect(allocateMark("worker-1", "prod", new Set())).not.toBe(allocateMark("worker-1", "test", new Set()));
});

test("no free mark is an error that names the fleet", () => {
  expect(() => allocateMark("worker-1", "prod", all)).toThrow(
    "no mark is free in fleet prod: all 16383 are taken. Destroy the NodeMarks of nodes that are gone.",
  );
});

const ips = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

test("a held egress IP stays, in both modes", () => {
  for (const mode of ["default", "round-robin"] as const)
    expect(allocateEgressIP(ips, mode, "192.0.2.3", 0)).toBe("192.0.2.3");
});

test("default is the first egress IP, also where the held one is gone", () => {
  expect(allocateEgressIP(ips, "default", undefined, 1)).toBe("192.0.2.1");
  expect(allocateEgressIP(ips, "default", "192.0.2.9", 2)).toBe("192.0.2.1");
});

test("round-robin takes the egress IPs in turn", () => {
  const chosen = [0, 1, 2, 3, 4].map((turn) => allocateEgressIP(ips, "round-robin", "192.0.2.9", turn));
  expect(chosen).toEqual(["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.2"]);
});

test("without egress IPs there is an error", () => {
  for (const mode of ["default", "round-robin"] as const)
    expect(() => allocateEgressIP([], mode, undefined, 0)).toThrow("there is no egress IP to allocate");
});
