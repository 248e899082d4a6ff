import { EGRESS, Path } from "./path";

let made: Path;
beforeAll(async () => {
  made = Path.start();
  made.load();
  await made.talk("outside", "serve");
});
afterAll(() => made.stop());

const EVERYTHING = {
  tcp: EGRESS,
  whole: true,
  udp: [1, 2, 3].map(() => [EGRESS, expect.any(Number)]),
  closed: "ConnectionRefusedError",
};

test("real packets leave with the egress IP, whole, by every protocol, and errors come back", () => {
  expect(made.call()).toEqual(EVERYTHING);
  expect(made.inside("pod", "ping", "-c", "2", "-i", "0.2", "-W", "1", "203.0.113.9")).toMatch(/ 2 received/);
});

test("a connection goes on while programs are loaded anew a hundred times", async () => {
  const held = await made.talk("pod", "hold");
  for (let i = 0; i < 100; i++) made.load();
  const { source, count, longest } = JSON.parse(await held.end());
  expect(source).toBe(EGRESS);
  expect(count).toBeGreaterThan(100);
  // Nothing was lost: TCP would have sent it again after 0.2 s at the earliest.
  expect(longest).toBeLessThan(0.2);
});

test("so do those whose checksums are made only on the way out", () => {
  made.offload();
  expect(made.call()).toEqual(EVERYTHING);
});
