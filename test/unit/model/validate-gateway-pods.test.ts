import { formatProblem } from "../../../provider/model/problem";
import { validateEgressGateway, validateEgressPolicy, validateNodeMark } from "../../../provider/model/validate";
import { type Path, withValue } from "./edit";
import { connection, egressPolicy, gatewayRef, nodeMark, nodeRef } from "./inputs";

const pod = (name: string, index: number) => ({ ...nodeRef(name, index), connection: { ...connection, netns: name } });
const ofPods = {
  gateways: [pod("egress-1", 105)],
  clients: [nodeRef("worker-1", 11)],
  egressIPs: ["192.168.0.105"],
  placement: "pod",
};
const check = (path: Path, value: unknown): string[] =>
  validateEgressGateway(withValue(ofPods, path, value)).map(formatProblem);

test("a gateway of pods has their own addresses", () => {
  expect(validateEgressGateway(ofPods)).toEqual([]);
  expect(validateEgressGateway({ ...ofPods, answers: "cluster", datapath: "bpf" })).toEqual([]);
});

test.each<[Path, unknown, string]>([
  [
    ["placement"],
    "pods",
    'placement: "pods" is no placement. Give "pod", or the gateway node for each egress IP to be fixed.',
  ],
  [
    ["placement"],
    undefined,
    'gateways[0]: Node "egress-1" is a pod (connection.netns). Give placement: "pod", or NodeMarks of machines.',
  ],
  [
    ["gateways", 1],
    nodeRef("gw-1", 101),
    'gateways[1]: Node "gw-1" is a machine, but placement is "pod". Give NodeMarks of pods (connection.netns), or leave placement out.',
  ],
  [
    ["clients", 1],
    pod("egress-2", 106),
    'clients[1]: Node "egress-2" is a pod (connection.netns), and no pods are on it. Give the machine that runs it, or leave it out.',
  ],
  [["answers"], "both", 'answers: "both" is not one of the choices. Give "tunnel" or "cluster".'],
  [
    ["egressIPs", 0],
    "192.168.0.11",
    'egressIPs[0]: "192.168.0.11" is the own address of node "worker-1". Give an address that no node has.',
  ],
])("%j = %j is refused", (path, value, message) => {
  expect(check(path, value)).toContain(message);
});

const namespace = (name: string) =>
  validateNodeMark(withValue(nodeMark, ["connection", "netns"], name)).map(formatProblem);

test.each(["egress-1", "cni-6f1e7f5c-9a4e.1", "A_b", "9".repeat(64)])("%s names a namespace", (name) => {
  expect(namespace(name)).toEqual([]);
});

test.each(["../1", "a/b", ".hidden", "-x", "a b", "$(reboot)", "a\nb", "a'b", "9".repeat(65)])(
  "%j names none",
  (name) => {
    expect(namespace(name)).toEqual([
      expect.stringMatching(/^connection\.netns: .* is not the name of a network namespace\./),
    ]);
  },
);

test("a jump host has no namespace, and a registry is in none", () => {
  const jump = withValue(nodeMark, ["connection", "proxy"], { host: "jump", password: "env:P", netns: "x" });
  expect(validateNodeMark(jump).map(({ path }) => path)).toEqual(["connection.proxy.netns"]);
  const registry = withValue(nodeMark, ["fleet", "registry", "connection", "netns"], "egress-1");
  expect(validateNodeMark(registry).map(formatProblem)).toEqual([
    "fleet.registry.connection.netns: The registry can't be in network namespace \"egress-1\", which goes with its pod. Name a node that is a machine as the fleet's registry.",
  ]);
});

describe("a gateway pod is no source of its gateway", () => {
  const problems = (ref: unknown, cidr: string): string[] =>
    validateEgressPolicy({ gateway: ref, sources: { cidrs: ["10.0.9.0/24", cidr] } }).map(formatProblem);
  const line = JSON.stringify({ host: "192.168.0.11", netns: "egress-1" });
  const inLine = { ...gatewayRef, nodes: { ...gatewayRef.nodes, "gw-1": line } };
  const inCommon = { ...gatewayRef, connection: { ...gatewayRef.connection, netns: "egress-1" } };

  test.each([inLine, inCommon])("whoever says that it is one", (ref) => {
    const end = 'a pod of gateway "payments": it can\'t be its source as well. Give sources without it.';
    expect(problems(ref, "192.0.2.2")).toContain(`sources.cidrs[1]: "192.0.2.2" is ${end}`);
    expect(problems(ref, "192.0.2.0/30")).toContain(`sources.cidrs[1]: "192.0.2.1" of "192.0.2.0/30" is ${end}`);
    expect(problems(ref, "10.0.1.0/24")).toEqual([]);
  });

  test("and other gateways have none", () => {
    expect(problems(gatewayRef, "192.0.2.2").join()).not.toMatch(/a pod of gateway/);
    expect(validateEgressPolicy(egressPolicy)).toEqual([]);
  });
});
