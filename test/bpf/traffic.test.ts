import { EGRESS, Path, PODS } from "./path";

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

test("a pod that uses another one's address and port gets nothing into the tunnel", () => {
  expect(made.send("pod", PODS.pod, 4400, 10, 10)).toEqual([4400, 4400]);
  made.inside("other", "ip", "addr", "add", `${PODS.pod}/32`, "dev", "eth0");
  const before = made.received();
  const seen = made.send("other", PODS.pod, 4400, 10, 10);
  made.inside("other", "ip", "addr", "del", `${PODS.pod}/32`, "dev", "eth0");
  expect(seen).toEqual([null, null]);
  expect(made.received()).toBe(before);
  expect(made.send("pod", PODS.pod, 4400, 10)).toEqual([4400]);
});

test("what the stack and what the programs send of one socket has one port, whichever comes first", () => {
  expect(made.send("pod", PODS.pod, 4500, 10, 3000, 10, 3000)).toEqual([4500, 4500, 4500, 4500]);
  expect(made.send("pod", PODS.pod, 4501, 3000, 10, 3000)).toEqual([4501, 4501, 4501]);
});

test("two pods never share a port, be one by the stack and one by the programs", () => {
  // The stack's first.
  expect(made.withoutFromClient(() => made.send("other", PODS.other, 4600, 10))).toEqual([4600]);
  const [own] = made.send("pod", PODS.pod, 4600, 10);
  expect(own).toEqual(expect.any(Number));
  expect(own).not.toBe(4600);
  // The programs' first: what the stack would send by the same port has another one.
  expect(made.send("pod", PODS.pod, 4601, 10)).toEqual([4601]);
  const [small, large] = made.send("other", PODS.other, 4601, 10, 3000);
  expect(small).toEqual(expect.any(Number));
  expect(small).not.toBe(4601);
  expect(large).toEqual(expect.any(Number));
  expect(large).not.toBe(4601);
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
