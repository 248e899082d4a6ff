import type { NodeMarkArgs } from "../../../provider/model/args";
import { forgottenNetworks, hostProblems } from "../../../provider/runtime/host";
import type { HostFacts } from "../../../provider/runtime/host-facts";
import { portProblems } from "../../../provider/runtime/node-mark-problems";
import type { Snapshot } from "../../../provider/runtime/snapshot";
import { hostOf as bareHost, ignore, seen } from "./snapshots";

const nodeArgs: NodeMarkArgs = {
  node: "gateway-1",
  fleet: { name: "lab", registry: { node: "gateway-1", connection: { host: "192.0.2.91" } }, ignore },
  connection: { host: "192.0.2.91" },
  underlayIP: "192.0.2.91",
};
const hostOf = (change: Partial<HostFacts> = {}): HostFacts =>
  bareHost({ addresses: [{ device: "eth0", cidr: "192.0.2.91/24" }], mtus: { lo: 65536, eth0: 1500 }, ...change });

const texts = (change: Partial<HostFacts>, uplink: string | undefined = "eth0", args = nodeArgs): string[] =>
  hostProblems(hostOf(change), args, uplink).map(({ path, message }) => `${path}: ${message}`);

test("a node on which nothing stands in the way has no problems", () => {
  expect(texts({})).toEqual([]);
});

test("a node that forwards nothing is refused", () => {
  expect(texts({ ipForward: false })).toEqual([
    "node: node gateway-1: net.ipv4.ip_forward is 0, so it forwards nothing. Set it to 1.",
  ]);
});

test("a node whose rp_filter heeds marks is refused", () => {
  expect(texts({ srcValidMark: true })).toEqual([
    "node: node gateway-1: net.ipv4.conf.all.src_valid_mark is 1 (wg-quick sets it), so strict rp_filter would drop marked packets. Set it to 0.",
  ]);
});

test("tools that are missing are named, but for arping", () => {
  expect(texts({ missingTools: ["arping"] })).toEqual([]);
  expect(texts({ missingTools: ["ipset", "arping", "flock"] })).toEqual([
    "connection: node gateway-1: ipset, flock not found. Install iproute2, iptables, ipset, conntrack and util-linux there.",
  ]);
});

test("what only gateways with programs need may be missing", () => {
  expect(texts({ missingTools: ["tc", "bpftool", "base64", "gzip"], unfit: ["bpffs"] })).toEqual([]);
});

describe("the tunnel's UDP port", () => {
  const ports = (udpPorts: readonly number[], actual: Snapshot["actual"] = [], tunnelPort?: number) => {
    const { snapshot } = seen({ actual });
    const args = { ...nodeArgs, fleet: { ...nodeArgs.fleet, ...(tunnelPort !== undefined && { tunnelPort }) } };
    return snapshot && portProblems({ ...snapshot, host: hostOf({ udpPorts: new Set(udpPorts) }) }, args);
  };
  const taken = (port: number) => [
    {
      path: "fleet.tunnelPort",
      message: `node gateway-1: UDP port ${port} is in use there. Choose another one for the fleet, or stop what uses it.`,
    },
  ];
  const tunnel = {
    kind: "link",
    name: "egw.vxlan",
    mac: "66:26:00:00:00:65",
    mtu: 1450,
    port: 4790,
    up: true,
  } as const;

  test("is refused where somebody has it", () => {
    expect(ports([53, 4790])).toEqual(taken(4790));
    expect(ports([53, 8472])).toEqual([]);
    expect(ports([53, 8472], [], 8472)).toEqual(taken(8472));
  });

  test("is ours where our tunnel has it, and another one is not", () => {
    expect(ports([4790], [tunnel])).toEqual([]);
    expect(ports([4790, 8472], [tunnel], 8472)).toEqual(taken(8472));
  });
});

test("an underlay address or uplink that is not there is refused with those that are", () => {
  const args = { ...nodeArgs, underlayIP: "192.0.2.77" };
  expect(hostProblems(hostOf(), args, undefined)).toEqual([
    {
      path: "underlayIP",
      message: "node gateway-1: no device has 192.0.2.77. Its addresses are 192.0.2.91/24.",
    },
  ]);
  expect(texts({}, "eth7")).toEqual(['uplink: node gateway-1: there is no device "eth7". There are lo, eth0.']);
});

test("a device whose name is more than a plain word is refused", () => {
  expect(texts({ mtus: { "br@1": 1500 } }, "br@1")).toEqual([
    'uplink: node gateway-1: the device with 192.0.2.91 is named "br@1". Use 1 to 15 letters, digits, dots, hyphens or underscores. Rename it.',
  ]);
});

describe("a tunnel network", () => {
  const { routes } = hostOf();

  test.each([
    ["a route", { routes: [...routes, "100.64.0.0/10 dev tailscale0"] }, "100.64.0.0/10 on tailscale0"],
    ["a host route", { routes: [...routes, "100.126.0.9 dev wg0 scope link"] }, "100.126.0.9/32 on wg0"],
    ["an address", { addresses: [{ device: "dummy0", cidr: "100.126.3.1/20" }] }, "100.126.3.1/32 on dummy0"],
  ])("that overlaps %s of the node is refused, and that one named", (_, change, what) => {
    expect(texts(change)).toEqual([
      `fleet.tunnelCIDR: node gateway-1: 100.126.0.0/16 overlaps ${what}. Choose another network.`,
    ]);
  });

  test("may overlap what the tunnel itself put there", () => {
    const change = {
      routes: [...routes, "100.126.0.0/16 dev egw.vxlan"],
      addresses: [...hostOf().addresses, { device: "egw.vxlan", cidr: "100.126.0.101/32" }],
    };
    expect(texts(change)).toEqual([]);
  });

  test("of the user's own choice is judged in place of the default", () => {
    const change = { routes: [...routes, "100.126.0.0/24 dev eth1"] };
    const args = { ...nodeArgs, fleet: { ...nodeArgs.fleet, tunnelCIDR: "100.100.0.0/16" } };
    expect(texts(change, "eth0", args)).toEqual([]);
  });
});

test("networks and addresses that ignore does not name are found, egress IPs are not", () => {
  const host = hostOf({
    routes: [
      "default via 192.0.2.254 dev eth0",
      "192.0.2.0/24 dev eth0",
      "172.17.0.0/16 dev docker0",
      "10.0.3.0/24 dev cni0",
    ],
    addresses: [
      { device: "lo", cidr: "127.0.0.1/8" },
      { device: "lo", cidr: "172.31.9.9/32" },
      { device: "eth0", cidr: "192.0.2.91/24" },
      { device: "eth0", cidr: "198.51.100.1/32" },
      { device: "egw.vxlan", cidr: "100.126.0.1/32" },
    ],
  });
  expect(forgottenNetworks(host, nodeArgs, ["198.51.100.1"])).toEqual([
    "172.17.0.0/16 (docker0)",
    "172.31.9.9/32 (lo)",
  ]);
});
