import { testFull } from "../setup/skip";
import { datagram } from "./packet";
import { EGRESS, Path, PODS, RECORDED, type Way } from "./path";

let made: Path;
const start = (way: Way) => async () => {
  made = Path.start();
  made.load(way);
  await made.talk("outside", "serve");
};
const stop = () => made.stop();

const EVERYTHING = {
  tcp: EGRESS,
  whole: true,
  udp: [1, 2, 3].map(() => [EGRESS, expect.any(Number)]),
  closed: "ConnectionRefusedError",
};

describe.each(["own", "device"] as const)("by the %s way of encapsulation", (way) => {
  beforeAll(start(way));
  afterAll(stop);

  test("real packets leave with the egress IP, whole, by every protocol, and errors come back", () => {
    expect(made.call()).toEqual(EVERYTHING);
    expect(made.inside("pod", "ping", "-c", "2", "-i", "0.2", "-W", "1", "203.0.113.9")).toMatch(/ 2 received/);
    const isOwn = way === "own";
    expect(made.counted("client", "from-pod to-tunnel") > 0).toBe(isOwn);
    expect(made.counted("client", "uplink-client to-pod") > 0).toBe(isOwn);
    expect(made.counted("gateway", "uplink-gateway to-outside") > 0).toBe(isOwn);
    expect(made.counted("gateway", "from-outside to-tunnel") > 0).toBe(isOwn);
    expect(made.counted("client", "from-pod to-tunnel-device") > 0).toBe(!isOwn);
    expect(made.counted("client", "from-gateway to-pod") > 0).toBe(!isOwn);
  });

  const left = () =>
    ["from-pod", "from-client", "from-outside"].map((hook) =>
      made.counted(hook === "from-pod" ? "client" : "gateway", `${hook} stack-options`),
    );

  test("what has IP options is carried too, from its first packet on or later, both ways", () => {
    expect(made.call("options")).toEqual({
      first: [EGRESS, true],
      later: [EGRESS, true],
      udp: [EGRESS, EGRESS, EGRESS],
    });
    expect(left()).toEqual([0, 0, 0]);
  });

  test("what routers and hosts record on its way comes back, be it by which address or at what time", () => {
    for (const ask of [["-R"], ["-T", "tsonly"], ["-T", "tsandaddr"]]) {
      const told = made.inside("pod", "ping", "-n", "-c", "5", "-i", "0.2", "-W", "1", ...ask, RECORDED);
      expect(told).toMatch(/ 5 received/);
      const [recorded] = told.split("\n---");
      // With a byte of a source route, unless only times are asked for.
      if (ask[1] !== "tsonly") expect(recorded?.split(/(?:RR|TS): /)[1]).toContain(RECORDED);
    }
    expect(left()).toEqual([0, 0, 0]);
  });

  // What the tunnel's device puts together has its checksum made by the last device only, if by any.
  if (way === "own")
    test("tcpdump finds every checksum right", () => {
      const { right, wrong } = made.judged();
      expect({ wrong, areMany: right > 10 }).toEqual({ wrong: [], areMany: true });
    });

  test("a pod that uses another one's address and port gets nothing into the tunnel", () => {
    const sent = () =>
      ["to-tunnel", "to-tunnel-device"].map((verdict) => made.counted("client", `from-pod ${verdict}`));
    expect(made.send("pod", PODS.pod, 4400, 10, 10)).toEqual([4400, 4400]);
    // By its own address its way out answers ARP.
    expect(made.send("other", PODS.other, 4400, 10)).toEqual([expect.any(Number)]);
    made.inside("other", "ip", "addr", "add", `${PODS.pod}/32`, "dev", "eth0");
    const before = sent();
    const seen = made.send("other", PODS.pod, 4400, 10, 10);
    made.inside("other", "ip", "addr", "del", `${PODS.pod}/32`, "dev", "eth0");
    expect(seen).toEqual([null, null]);
    expect(sent()).toEqual(before);
    expect(made.counted("client", "from-pod stack-other-device")).toBe(2);
    expect(made.send("pod", PODS.pod, 4400, 10)).toEqual([4400]);
  });

  test("a frame of a VLAN is not looked at", () => {
    const seen = () => ["not-ipv4", "stack-unknown-flow"].map((what) => made.counted("client", `from-pod ${what}`));
    const mac = (host: "pod" | "client", device: string) =>
      made.inside(host, "cat", `/sys/class/net/${device}/address`).trim();
    const [to, from] = [mac("client", "pod"), mac("pod", "eth0")];
    const ends = { from: { address: PODS.pod, port: 4700 }, to: { address: "203.0.113.77", port: 7002 } };
    const packet = datagram({ ...ends, protocol: "udp" }).toString("hex");
    const [strange = 0, unknown] = seen();
    for (const tag of ["81000007", "81000000"]) {
      const bytes = `${to}${from}${tag}0800${packet}`.replaceAll(":", "");
      const send = `import socket; s = socket.socket(17, 3); s.bind(("eth0", 0)); s.send(bytes.fromhex("${bytes}"))`;
      made.inside("pod", "python3", "-c", send);
    }
    const [after = 0, known] = seen();
    expect(after).toBeGreaterThan(strange);
    // One of no VLAN, but with a priority, is the device's own.
    expect(known).toBe((unknown ?? 0) + 1);
  });

  test("what is longer than the tunnel or a device takes arrives, both ways and by one port, whichever comes first", () => {
    expect(made.send("pod", PODS.pod, 4500, 10, 3000, 10, 3000)).toEqual([4500, 4500, 4500, 4500]);
    expect(made.send("pod", PODS.pod, 4501, 3000, 10, 1472)).toEqual([4501, 4501, 4501]);
    // What may not be in fragments the stack answers, and the pod makes shorter ones.
    expect(made.send("other", PODS.other, 4502, 10, 3000, 1472, 1472)).toEqual([4502, 4502, null, 4502]);
    expect(made.inside("pod", "ping", "-c", "2", "-i", "0.2", "-W", "1", "-s", "1472", "203.0.113.9")).toMatch(
      / 2 received/,
    );
  });

  test("two pods never share a port, be one by the stack and one by the programs", () => {
    // The stack's first.
    expect(made.withoutTranslation(() => made.send("other", PODS.other, 4600, 10))).toEqual([4600]);
    const [own] = made.send("pod", PODS.pod, 4600, 10);
    expect(own).toEqual(expect.any(Number));
    expect(own).not.toBe(4600);
    // The programs' first: what the stack would send by the same port has another one.
    expect(made.send("pod", PODS.pod, 4601, 10)).toEqual([4601]);
    const [small, ...more] = made.send("other", PODS.other, 4601, 10, 3000, 10, 3000);
    expect(small).toEqual(expect.any(Number));
    expect(small).not.toBe(4601);
    expect(more).toEqual([small, small, small]);
  });

  test("what has its checksums made only on the way out arrives too, and so does what is cut between the nodes", () => {
    made.offload();
    const byDevice = () => made.counted("client", "from-pod to-tunnel-device");
    const before = byDevice();
    expect(made.call()).toEqual(EVERYTHING);
    // Aggregates among them, which are no longer than their segments.
    expect(byDevice() > before).toBe(way === "device");
    made.cut();
    expect(made.call()).toEqual(EVERYTHING);
  });
});

describe("connections go on", () => {
  beforeAll(start("own"));
  afterAll(stop);

  const reloaded = (times: number) => async () => {
    const held = await Promise.all((["pod", "pod", "other", "other"] as const).map((pod) => made.talk(pod, "hold")));
    const before = made.lost();
    for (let i = 0; i < times; i++) made.load(i % 2 === 0 ? "device" : "own");
    for (const one of held) {
      const { source, count } = JSON.parse(await one.end());
      expect(source).toBe(EGRESS);
      expect(count).toBeGreaterThan(times);
    }
    expect(made.lost()).toBe(before);
  };
  test("while programs are loaded anew twenty times, by one way of encapsulation or the other", reloaded(20));
  testFull("while they are a hundred times", reloaded(100), 300_000);
});
