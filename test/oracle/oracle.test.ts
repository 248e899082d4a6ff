import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { execOk, type Lab, labDown, labReset, labUp, requirements } from "../lab";
import { startOracle } from "./index";

jest.setTimeout(60_000);

const missing = requirements();
const name = `t${process.pid}oracle`;
const [pod, node, nodeIP, egressIP] = ["pod-client-1-1", "client-1", "192.168.0.11", "192.168.0.200"];

/** Lets a node give its pod's new connections the egress IP, as a datapath would, or stops that. */
function snat(lab: Lab, verb: "-I" | "-D"): Promise<string> {
  const rule = ["POSTROUTING", "-s", "10.0.1.11/32", "-d", "203.0.112.0/22", "-j", "SNAT", "--to-source", egressIP];
  return execOk(lab, node, ["iptables", "-t", "nat", verb, ...rule]);
}

function holdEgressIP(lab: Lab): Promise<string> {
  return execOk(lab, node, ["ip", "addr", "add", `${egressIP}/32`, "dev", "eth0"]);
}

if (missing.length > 0) {
  test.skip(`the oracle [skipped: ${missing.join(" ")}]`, () => undefined);
} else {
  describe("the oracle", () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await labUp({ name });
    });
    beforeEach(() => labReset(lab));
    afterAll(() => labDown(name));

    test("finds nothing where nothing is programmed, and sees all of it", async () => {
      const oracle = await startOracle(lab, { pods: lab.pods.map((one) => one.name) });
      await sleep(5000);
      const before = process.cpuUsage();
      const verdict = await oracle.stop();
      // Of its own time, since a machine may be busy: 10 s of six pods are judged in half a second.
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1e6).toBeLessThan(1.5);
      expect(verdict.failures).toEqual([]);
      expect(verdict.brokenOutsideChanges).toEqual([]);
      expect(verdict.judged.unattributed).toBe(0);
      expect(verdict.judged.connections).toBeGreaterThan(500);
      expect(verdict.attempts.failed).toBe(0);
      expect(verdict.pcaps).toBeUndefined();
      for (const { name, node } of lab.pods) {
        const address = lab.nodes.find((one) => one.name === node)?.underlayIP ?? "";
        expect(Object.keys(verdict.pods[name]?.sources ?? {})).toEqual([address]);
        expect(verdict.pods[name]?.held.map(({ said, echoed }) => said - echoed <= 1)).toEqual([
          true,
          true,
          true,
          true,
        ]);
      }
    });

    test("catches a source that nobody announced", async () => {
      const oracle = await startOracle(lab, { pods: [pod] });
      await holdEgressIP(lab);
      await sleep(500);
      oracle.note("rule in");
      await snat(lab, "-I");
      await sleep(500);
      const verdict = await oracle.stop();
      expect(verdict.failures).toEqual([
        expect.stringMatching(
          new RegExp(
            `^\\+\\d\\.\\d{3}s client-1 eth0: ${egressIP}:\\d+ → 203\\.0\\.11\\d\\.10:700\\d (tcp \\[SYN\\]|udp) of ${pod}: ` +
              `it left with ${egressIP}; allowed then: ${nodeIP}; \\d+ such packets of \\d+ connection\\(s\\) until \\S+; ` +
              'also at router out\\d; after "rule in" \\+\\d\\.\\d{3}s$',
          ),
        ),
        ...Array.from({ length: 3 }, () => expect.stringContaining(`it left with ${egressIP}`)),
      ]);
      expect(fs.readdirSync(verdict.pcaps ?? "")).toContain("client-1-eth0.pcap");
      fs.rmSync(verdict.pcaps ?? "", { recursive: true });
    });

    test("passes an announced change, there and back, which leaves open connections alone", async () => {
      const oracle = await startOracle(lab, { pods: [pod] });
      await holdEgressIP(lab);
      await sleep(500);
      for (const [verb, source] of [["-I", egressIP] as const, ["-D", nodeIP] as const]) {
        const change = oracle.changing(pod, [source]);
        await snat(lab, verb);
        change.done([source]);
        await sleep(500);
      }
      const verdict = await oracle.stop();
      expect(verdict.failures).toEqual([]);
      expect(verdict.brokenOutsideChanges).toEqual([]);
      expect(Object.keys(verdict.pods[pod]?.sources ?? {}).sort()).toEqual([nodeIP, egressIP]);
      expect(verdict.pods[pod]?.sources[egressIP]?.connections).toBeGreaterThan(10);
      expect(verdict.pods[pod]?.held.map(({ source }) => source)).toEqual([nodeIP, nodeIP, nodeIP, nodeIP]);
    });

    test("holds new connections to the new source once a change is done", async () => {
      const oracle = await startOracle(lab, { pods: [pod], targets: ["outside-1"] });
      await sleep(500);
      oracle.changing(pod, [egressIP]).done();
      await sleep(500);
      const { failures, brokenOutsideChanges, pcaps } = await oracle.stop();
      expect(failures).toHaveLength(2);
      expect(failures[0]).toContain(`it left with ${nodeIP}; allowed then: ${egressIP}; `);
      expect(brokenOutsideChanges).toEqual([]);
      fs.rmSync(pcaps ?? "", { recursive: true });
    });

    test("catches a raw pod address", async () => {
      const oracle = await startOracle(lab, { pods: [pod], targets: ["outside-1"] });
      await sleep(300);
      const rule = ["CNI-MASQ", "-j", "MASQUERADE", "--random-fully"];
      await execOk(lab, node, ["iptables", "-t", "nat", "-D", ...rule]);
      await sleep(300);
      await execOk(lab, node, ["iptables", "-t", "nat", "-A", ...rule]);
      await sleep(300);
      const { failures, pods, pcaps } = await oracle.stop();
      expect(failures).toHaveLength(2);
      for (const failure of failures) {
        expect(failure).toContain(`of ${pod}: it left with a pod's own address; allowed then: ${nodeIP}; `);
      }
      expect(Object.keys(pods[pod]?.sources ?? {}).sort()).toEqual(["10.0.1.11", nodeIP]);
      fs.rmSync(pcaps ?? "", { recursive: true });
    });

    test("catches a connection that changes its source, though both are allowed", async () => {
      const oracle = await startOracle(lab, { pods: [pod], targets: ["outside-1"] });
      await holdEgressIP(lab);
      await sleep(400);
      const change = oracle.changing(pod, [egressIP]);
      await snat(lab, "-I");
      await sleep(200);
      await execOk(lab, node, ["conntrack", "-F"]);
      await sleep(400);
      change.done();
      const { failures, pods, pcaps } = await oracle.stop();
      expect(failures.some((one) => one.includes(`this connection was seen with ${nodeIP} before`))).toBe(true);
      // One that began with the egress IP and ended while all were forgotten has changed its source, too.
      expect(failures.filter((one) => !one.includes("this connection was seen with "))).toEqual([]);
      expect(failures.some((one) => one.includes(" tcp [PSH ACK] of "))).toBe(true);
      expect(pods[pod]?.held.some(({ proto, error }) => proto === "tcp" && error === "reset")).toBe(true);
      fs.rmSync(pcaps ?? "", { recursive: true });
    });
  });
}
