import { spawnSync } from "node:child_process";
import { NodeSession } from "../../provider/runtime/session";
import { testUnless } from "../setup/skip";
import { gatewayClaim, nodeClaim, policyClaim } from "../unit/reconcile/states";
import { differences, ProgramNode, within } from "./program-node";

const missing = ["bpftool", "tc"].find((tool) => spawnSync(tool, ["-V"]).error);
const test = testUnless(missing === undefined ? false : `no ${missing} here`);

const POLICY = policyClaim("policy-1", { sources: ["10.0.1.0/28"] });
const CLAIMS = [nodeClaim("gateway-1"), gatewayClaim({ datapath: "bpf" }), POLICY];
const NONE = { handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 };
const GOES = "ip link del veth2";
const COMES_AGAIN = `${GOES}; ip link add veth2 type veth peer name pod2; ip link set veth2 up; ip route add 10.0.1.12 dev veth2`;

let node: ProgramNode;
beforeAll(async () => {
  if (missing === undefined) node = await ProgramNode.start("192.168.0.101");
});
afterAll(() => node?.stop());

/** This process on the node; `first`: what others do before its first batch, `instead`: functions of its batches. */
function session({ first = ":", instead = "" } = {}): { readonly here: NodeSession; readonly batches: () => number } {
  let batches = 0;
  const run = async (_node: string, _connection: unknown, script: string) => {
    const isBatch = script.includes("@@applied");
    if (isBatch && batches++ === 0) node.must(first);
    const { status, stdout, stderr } = node.run(isBatch ? within(script, instead) : script);
    return { code: status ?? 1, stdout, stderr };
  };
  const transport = { run, counters: () => NONE, close: async () => {} };
  return { here: new NodeSession("gateway-1", { host: "192.168.0.101" }, transport), batches: () => batches };
}

const FILTER = /veth2 clsact.ingress egw-from_pod/;

test("a pod that goes between the look at its node and the batch costs one batch more", async () => {
  const { here, batches } = session({ first: GOES });
  await here.snapshot();
  await here.apply({ write: CLAIMS, remove: [] });
  expect(batches()).toBe(2);
  expect(node.filters()).toMatch(/veth1 clsact.ingress egw-from_pod/);
  expect(node.filters()).not.toMatch(FILTER);
  expect([node.probe().node?.podDevices, differences(node.probe())]).toEqual([["veth1"], []]);
});

test("one that goes then, and had a program, or comes again by the same device, has it in the end", async () => {
  node.must(COMES_AGAIN.replace(GOES, ":"));
  await session().here.apply({ write: CLAIMS, remove: [] });
  expect(node.filters()).toMatch(FILTER);
  const { here, batches } = session({ first: COMES_AGAIN });
  await here.snapshot();
  await here.apply({ write: [{ ...POLICY, destinations: ["198.51.100.0/24"] }], remove: [] });
  expect(batches()).toBe(2);
  expect(node.filters()).toMatch(FILTER);
  const gone = session({ first: GOES });
  await gone.here.snapshot();
  await gone.here.apply({ write: [POLICY], remove: [] });
  expect([node.probe().node?.podDevices, differences(node.probe())]).toEqual([["veth1"], []]);
});

test("where that batch fails the node has what it was to get, and its next preview shows what is missing", async () => {
  node.must(COMES_AGAIN.replace(GOES, ":"));
  await session().here.apply({ write: CLAIMS, remove: [] });
  const { here } = session({ first: COMES_AGAIN, instead: "egw_put_filter() { return 1; }" });
  await here.snapshot();
  const changed = { ...POLICY, destinations: ["198.51.100.0/24"] };
  await expect(here.apply({ write: [changed], remove: [] })).rejects.toThrow(
    /^node gateway-1: applied, but programs of pods that came meanwhile: .*tc failed/,
  );
  expect(node.probe().claims).toContainEqual(changed);
  expect(differences(node.probe())).toEqual([expect.stringMatching(/^missing {2}tc-filter veth2 ingress from_pod/)]);
  node.must(GOES);
});

test("a filter that stays away is told", async () => {
  node.must(COMES_AGAIN.replace(GOES, ":"));
  const { here, batches } = session({ instead: "egw_attach() { :; }" });
  node.must("tc filter del dev veth1 ingress");
  await expect(here.apply({ write: CLAIMS, remove: [] })).rejects.toThrow(
    /^node gateway-1: applied, but the kernel shows 2 difference\(s\):\n {2}missing {2}tc-filter veth1 ingress from_pod/,
  );
  expect(batches()).toBe(5);
});
