import { spawnSync } from "node:child_process";
import { encode, LAYOUT_VERSION } from "../../provider/kernel/bpf-layout";
import type { Claim } from "../../provider/model/claim";
import { markOf, ROLE_ANSWER, ROLE_CLUSTER, tunnelMac } from "../../provider/model/mark";
import { type Test, testFull, testUnless } from "../setup/skip";
import { gatewayClaim, nodeClaim, peer, policyClaim } from "../unit/reconcile/states";
import { ProgramNode } from "./program-node";

const missing = ["bpftool", "tc", "conntrack"].find((tool) => spawnSync(tool, ["-V"]).error);
const test = testUnless(missing === undefined ? false : `no ${missing} here`);

const client = peer("client-1", false);
const nodeOf = (name: "gateway-1" | "gateway-2") => ({ nodes: { "client-1": client, [name]: peer(name, true) } });
const A = gatewayClaim({ ...nodeOf("gateway-1"), placement: { "192.0.2.1": "gateway-1" }, datapath: "bpf" });
const B = gatewayClaim(
  { ...nodeOf("gateway-2"), placement: { "192.0.2.2": "gateway-2" }, datapath: "bpf" },
  "gateway-b",
);
/** The same by iptables. */
const B_PLAIN: Claim = { ...B, datapath: undefined };
const POLICIES = [
  policyClaim("policy-1", { sources: ["10.0.1.11/32", "10.0.1.12/32"] }),
  policyClaim("policy-2", { gateway: "gateway-b", destinations: ["198.51.100.0/24"], egressIP: "192.0.2.2" }),
];
const CLAIMS = [nodeClaim("client-1"), A, B, ...POLICIES];
const TO_A = { destination: "203.0.113.9", gateway: "192.168.0.101", mark: markOf(101) };
const TO_B = { destination: "198.51.100.9", gateway: "192.168.0.102", mark: markOf(102) };

const M = `/sys/fs/bpf/pulumi-egress/maps-${LAYOUT_VERSION}`;
const hex = (bytes: Buffer): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

let node: ProgramNode;

/** The kernel's clock (bpf_ktime_get_boot_ns). */
const now = (): bigint => BigInt(Math.floor(Number(node.must("cut -d ' ' -f 1 /proc/uptime")) * 1e9));

interface Carried {
  readonly port: number;
  readonly to?: typeof TO_A;
  readonly pod?: 1 | 2;
  /** By which device: that of the pod, or 0 for none, or with the bit of what only begins. */
  readonly ifindex?: (device: number) => number;
  readonly state?: number;
  /** Seconds since its last packet. */
  readonly silent?: number;
}

/** A connection that a program carries: an entry of egw_flows, and what the stack has seen of its beginning. */
function carry(
  { port, to = TO_A, pod = 1, ifindex: by = (device) => device, state = 0, silent = 0 }: Carried,
  seen = true,
): void {
  const source = `10.0.1.1${pod}`;
  const ifindex = by(Number(node.must(`cat /sys/class/net/veth${pod}/ifindex`)));
  const key = encode("egw_tuple", {
    source,
    destination: to.destination,
    source_port: port,
    destination_port: 443,
    protocol: 6,
  });
  const last = now() - BigInt(silent) * 1_000_000_000n;
  const value = encode("egw_flow", { seen: last < 0n ? 0n : last, gateway: to.gateway, ifindex, state });
  node.must(`bpftool map update pinned ${M}/egw_flows key hex ${hex(key)} value hex ${hex(value)}`);
  if (seen) opened(port, to, source);
}

function opened(port: number, to = TO_A, source = "10.0.1.11"): void {
  node.must(
    `conntrack -I -p tcp -s ${source} -d ${to.destination} --sport ${port} --dport 443 -r ${to.destination} -q ${source} --reply-port-src 443 --reply-port-dst ${port} --state SYN_SENT -t 100 -m ${to.mark}`,
  );
}

/** Ports, states and marks of what conntrack has, sorted. */
const tracked = (): string[] =>
  node
    .must("conntrack -L 2>/dev/null")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, state, port, mark] = /^tcp +\d+ \d+ (\S+) .*? sport=(\d+) .* mark=(\d+)/.exec(line) ?? [];
      return `${port} ${state} ${Number(mark).toString(16)}`;
    })
    .sort();

const flows = (): string[] =>
  (JSON.parse(node.must(`bpftool -j map dump pinned ${M}/egw_flows`)) as { key: string[] }[])
    .map(({ key }) => String(Number(key[8]) * 256 + Number(key[9])))
    .sort();

const A_MARK = markOf(101).toString(16);
const B_MARK = markOf(102).toString(16);
const hasProgram = (): boolean => node.filters().includes("veth1 clsact/ingress egw-from_pod");

describe("what programs carry", () => {
  beforeEach(async () => {
    if (missing !== undefined) return;
    node = await ProgramNode.start("192.168.0.11");
    node.apply(CLAIMS);
  });
  afterEach(() => node?.stop());

  test("goes to conntrack on its path where the program goes, and what has long ended does not", () => {
    carry({ port: 1001 });
    carry({ port: 1002, to: TO_B });
    carry({ port: 1003, state: 6 });
    carry({ port: 1004, state: 8, silent: 1000 });
    // Of another connection the stack has seen no more either, but it is the stack's.
    opened(2001);
    node.apply([nodeClaim("client-1"), gatewayClaim({ ...A, datapath: undefined }), B_PLAIN, ...POLICIES]);
    expect(tracked()).toEqual([
      `1001 ESTABLISHED ${A_MARK}`,
      `1002 ESTABLISHED ${B_MARK}`,
      `1003 TIME_WAIT ${A_MARK}`,
      `1004 SYN_SENT ${A_MARK}`,
      `2001 SYN_SENT ${A_MARK}`,
    ]);
    expect(hasProgram()).toBe(false);
  });

  test("to a gateway node that has no programs any more goes to conntrack, while the device keeps its program", () => {
    carry({ port: 1001 });
    carry({ port: 1002, to: TO_B });
    node.apply([nodeClaim("client-1"), A, B_PLAIN, ...POLICIES]);
    expect(tracked()).toEqual([`1001 SYN_SENT ${A_MARK}`, `1002 ESTABLISHED ${B_MARK}`]);
    expect(flows()).toEqual(["1001"]);
    expect(hasProgram()).toBe(true);
  });

  test("is none of what the stack has carried alone, since the pod's device has no program", () => {
    carry({ port: 1001, to: TO_B, ifindex: () => 0 });
    carry({ port: 1002, to: TO_B, ifindex: () => 0 }, false);
    node.must("conntrack -U -p tcp -s 10.0.1.11 --sport 1001 --state FIN_WAIT -t 77");
    node.apply([nodeClaim("client-1"), A, B_PLAIN, ...POLICIES]);
    expect(tracked()).toEqual([`1001 FIN_WAIT ${B_MARK}`]);
    expect(flows()).toEqual([]);
  });

  test("has just begun: then it goes on with the answer, or with what follows that", () => {
    carry({ port: 1001, to: TO_B, ifindex: (device) => device + 0x8000_0000 });
    node.apply([nodeClaim("client-1"), A, B_PLAIN, ...POLICIES]);
    expect(tracked()).toEqual([`1001 SYN_RECV ${B_MARK}`]);
  });

  test("is put in though somebody was there first", () => {
    for (const port of [1001, 1002, 1003]) carry({ port }, false);
    // Between the look at conntrack and what is put in.
    const first = `egw_put_back_late() { ${spawnSync("sh", ["-c", "command -v conntrack"], { encoding: "utf8" }).stdout.trim()} -I -p tcp -s 10.0.1.11 -d 203.0.113.9 --sport 1002 --dport 443 -r 203.0.113.9 -q 10.0.1.11 --reply-port-src 443 --reply-port-dst 1002 --state SYN_SENT -t 100; }
conntrack() { if [ "$1" = -R ] && [ ! -e /run/late ]; then : > /run/late; egw_put_back_late; fi; command conntrack "$@"; }`;
    const claims = [nodeClaim("client-1"), gatewayClaim({ ...A, datapath: undefined }), B_PLAIN, ...POLICIES];
    expect(node.tell(claims, first)).toContain("@@applied");
    expect(tracked()).toEqual([1001, 1002, 1003].map((port) => `${port} ESTABLISHED ${A_MARK}`));
  });

  test("is found by one walk through conntrack's table where a pod's connections are all carried", () => {
    for (let port = 1001; port <= 1040; port++) carry({ port, pod: 1 });
    for (let port = 1001; port <= 1003; port++) carry({ port, pod: 2 });
    opened(2001, TO_A, "10.0.1.12");
    node.must(
      `mkdir /run/tools; printf '#!/bin/sh\\ncase $1 in -D) echo "$*" >> /run/deleted ;; esac\\nexec ${spawnSync("sh", ["-c", "command -v conntrack"], { encoding: "utf8" }).stdout.trim()} "$@"\\n' > /run/tools/conntrack; chmod +x /run/tools/conntrack`,
    );
    node.apply(
      [nodeClaim("client-1"), gatewayClaim({ ...A, datapath: undefined }), B_PLAIN, ...POLICIES],
      ":",
      "PATH=/run/tools:$PATH",
    );
    expect(tracked().filter((line) => line.includes("ESTABLISHED"))).toHaveLength(43);
    expect(node.must("sort /run/deleted").trim().split("\n")).toEqual([
      `-D -m ${markOf(101)} -q 10.0.1.11 -s 10.0.1.11`,
      ...[1001, 1002, 1003].map((port) => `-D -p tcp -s 10.0.1.12 -d 203.0.113.9 --sport ${port} --dport 443`),
    ]);
  });

  test("keeps its program where conntrack has no room for it", () => {
    carry({ port: 1001 }, false);
    carry({ port: 1002 }, false);
    const claims = [nodeClaim("client-1"), gatewayClaim({ ...A, datapath: undefined }), B_PLAIN, ...POLICIES];
    const told = node.tell(claims, "egw_room() { echo 1; }");
    expect(told).toContain(
      "2 connections that programs carry have to go to conntrack, which has room for 1: net.netfilter.nf_conntrack_max has to be larger",
    );
    expect(told).toContain("@@rolled-back");
    expect(flows()).toEqual(["1001", "1002"]);
    expect(hasProgram()).toBe(true);
  });

  test("keeps its program where it can't be read", () => {
    carry({ port: 1001 });
    const claims = [nodeClaim("client-1"), gatewayClaim({ ...A, datapath: undefined }), B_PLAIN, ...POLICIES];
    const told = node.tell(claims, "egw_flows() { return 1; }");
    expect(told).toContain("@@rolled-back");
    expect(tracked()).toEqual([`1001 SYN_SENT ${A_MARK}`]);
    expect(hasProgram()).toBe(true);
  });

  test("is no reason for an undo to leave a program: that goes, and its flows with it", () => {
    node.apply([nodeClaim("client-1"), gatewayClaim({ ...A, datapath: undefined }), B_PLAIN, ...POLICIES]);
    // What a program took in the moment before the batch failed.
    const taken = `egw_look() { { egw_kernel; egw_ipset; egw_bpf; } | cat; }; egw_give_back() { return 1; }`;
    const told = node.fail(CLAIMS, taken);
    expect(told).toContain("@@rolled-back");
    expect(hasProgram()).toBe(false);
  });

  test("of a batch that was killed before it forgot the flows is forgotten by the next one", () => {
    carry({ port: 1001, pod: 1 });
    carry({ port: 1002, pod: 2 });
    const numbers = node.must("cat /sys/class/net/veth1/ifindex /sys/class/net/veth2/ifindex").trim().split("\n");
    node.must(
      `tc filter del dev veth1 ingress; mkdir -p /var/lib/pulumi-egress/batch; printf 'ifindex=${numbers[0]}\\nifindex=${numbers[1]}\\n$(id)\\n' > /var/lib/pulumi-egress/batch/given-up`,
    );
    node.apply(CLAIMS);
    expect(flows()).toEqual(["1002"]);
    expect(hasProgram()).toBe(true);
  });
});

/** A connection of a pod behind client-1 by the egress IP of gateway-1. */
interface Translated {
  readonly protocol: 6 | 17;
  readonly pod: 1 | 2;
  /** As the pod sends it, and as it leaves. */
  readonly ports: readonly [number, number];
}
const EGRESS = "192.0.2.1";
const SERVER = "203.0.113.9";

describe("what a gateway node's programs translate", () => {
  const CLIENT_MAC = tunnelMac(client.index);
  const ANSWER_MARK = markOf(client.index) + ROLE_ANSWER;
  const GATEWAY_CLAIMS = [nodeClaim("gateway-1"), A, POLICIES[0]] as Claim[];
  const PLAIN = [nodeClaim("gateway-1"), gatewayClaim({ ...A, datapath: undefined }), POLICIES[0]] as Claim[];

  const entry = ({ protocol, pod, ports: [source_port] }: Translated): Buffer =>
    encode("egw_tuple", {
      source: `10.0.1.1${pod}`,
      destination: SERVER,
      source_port,
      destination_port: 443,
      protocol,
    });
  const answer = ({ protocol, ports: [, port] }: Translated): Buffer =>
    encode("egw_tuple", {
      source: SERVER,
      destination: EGRESS,
      source_port: 443,
      destination_port: port,
      protocol,
    });

  function translate(one: Translated, state = 17, seen = now()): void {
    const value = encode("egw_nat", {
      seen,
      egress_ip: EGRESS,
      client: client.underlay,
      port: one.ports[1],
      state,
      client_mac: CLIENT_MAC,
    });
    node.must(`bpftool map update pinned ${M}/egw_nat_out key hex ${hex(entry(one))} value hex ${hex(value)}
bpftool map update pinned ${M}/egw_nat_in key hex ${hex(answer(one))} value hex ${hex(entry(one))}`);
  }

  /** What conntrack has: protocol, state, pod, its port, the one by which it leaves, mark. */
  const translated = (): string[] =>
    node
      .must("conntrack -L 2>/dev/null")
      .split("\n")
      .flatMap((line) => {
        const found =
          /^(\S+) +\d+ \d+ ([A-Z_]* ?)src=(\S+) .*? sport=(\d+) .*? src=\S+ dst=(\S+) sport=\d+ dport=(\d+) (.*)mark=(\d+)/.exec(
            line,
          );
        return found
          ? [
              found
                .slice(1)
                .map((text) => text.trim())
                .join(" "),
            ]
          : [];
      })
      .sort();

  function lookUp(map: string, key: Buffer): Buffer | undefined {
    const { status, stdout } = node.run(`bpftool -j map lookup pinned ${M}/${map} key hex ${hex(key)}`);
    const { value } = status === 0 ? (JSON.parse(stdout) as { value?: string[] }) : {};
    return value && Buffer.from(value.map(Number));
  }
  /** The node by whose tunnel a connection came, its state and its port outside; undefined = none. */
  const held = (one: Translated) => lookUp("egw_nat_out", entry(one));
  const ownerOf = (one: Translated): string | undefined => {
    const owner = lookUp("egw_nat_in", answer(one));
    return owner && hex(owner);
  };

  beforeEach(async () => {
    if (missing !== undefined) return;
    node = await ProgramNode.start("192.168.0.101");
  });
  afterEach(() => node?.stop());

  const FIRST: Translated = { protocol: 6, pod: 1, ports: [4000, 4000] };
  const OTHER_PORT: Translated = { protocol: 6, pod: 2, ports: [4000, 5000] };
  const DATAGRAMS: Translated = { protocol: 17, pod: 2, ports: [4000, 6000] };

  test("goes on by its own port, from either side, where the stack goes on with it", () => {
    node.apply(GATEWAY_CLAIMS);
    for (const one of [FIRST, OTHER_PORT, DATAGRAMS]) translate(one);
    translate({ protocol: 6, pod: 1, ports: [4001, 4001] }, 0);
    // Of another connection by the same ports, long ago.
    node.must(
      `conntrack -I -p tcp -s 10.0.1.12 -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:4444 --state TIME_WAIT -t 100`,
    );
    node.apply(PLAIN);
    expect(translated()).toEqual([
      `tcp ESTABLISHED 10.0.1.11 4000 ${EGRESS} 4000 [ASSURED] ${ANSWER_MARK}`,
      `tcp ESTABLISHED 10.0.1.12 4000 ${EGRESS} 5000 [ASSURED] ${ANSWER_MARK}`,
      `udp  10.0.1.12 4000 ${EGRESS} 6000 [ASSURED] ${ANSWER_MARK}`,
    ]);
  });

  test("has its port though conntrack remembers another pod's connection by that", () => {
    node.apply(GATEWAY_CLAIMS);
    translate({ protocol: 6, pod: 2, ports: [4000, 4000] });
    node.must(
      `conntrack -I -p tcp -s 10.0.1.11 -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:4000 --state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m ${ANSWER_MARK}`,
    );
    node.apply(PLAIN);
    expect(translated()).toEqual([`tcp ESTABLISHED 10.0.1.12 4000 ${EGRESS} 4000 [ASSURED] ${ANSWER_MARK}`]);
  });

  for (const missing of ["egw.vxlan ingress", "eth0 egress"])
    test(`is taken over though a batch before has got no further than its port, or gave it back: without ${missing}`, () => {
      node.apply(GATEWAY_CLAIMS);
      translate(FIRST);
      node.must(`bpftool map delete pinned ${M}/egw_nat_out key hex ${hex(entry(FIRST))}
tc filter del dev ${missing}
conntrack -I -p tcp -s 10.0.1.11 -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:4000 --state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m ${ANSWER_MARK}`);
      node.apply(GATEWAY_CLAIMS);
      expect(held(FIRST)?.readUInt16BE(16)).toBe(4000);
      expect(translated()).toEqual([]);
    });

  /** Another pod's by the port of the first one, by a third one's name. */
  const THIRD: Translated = { protocol: 6, pod: 2, ports: [4002, 4000] };
  const ENDED: readonly (readonly [string, Test, () => void])[] = [
    ["its own, by another port", testFull, () => translate({ ...FIRST, ports: [4000, 4001] }, 7, 0n)],
    ["another pod's, by its port", test, () => translate(THIRD, 7, 0n)],
    [
      "another pod's, of which one half is gone",
      testFull,
      () => {
        translate(THIRD, 7, 0n);
        node.must(`bpftool map delete pinned ${M}/egw_nat_out key hex ${hex(entry(THIRD))}`);
      },
    ],
  ];
  for (const [what, run, end] of ENDED)
    run(`is none that has ended, though an entry is still there: who has its ports now is taken over: ${what}`, () => {
      const other = gatewayClaim(
        { ...nodeOf("gateway-1"), placement: { "192.0.2.2": "gateway-1" }, datapath: "bpf" },
        "gateway-b",
      );
      node.apply([...PLAIN, other]);
      end();
      node.must(
        `conntrack -I -p tcp -s 10.0.1.11 -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:4000 --state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m ${ANSWER_MARK}`,
      );
      node.apply([...GATEWAY_CLAIMS, other]);
      expect([held(FIRST)?.readUInt16BE(16), ownerOf(FIRST), translated()]).toEqual([4000, hex(entry(FIRST)), []]);
    });

  test("leaves the stack the port that it has outside, where that is none of conntrack's", () => {
    node.apply(GATEWAY_CLAIMS);
    translate(FIRST);
    // A pod of this node, whom conntrack has given the same port.
    const local = { source: EGRESS, destination: SERVER, source_port: 4000, destination_port: 443, protocol: 6 };
    const outside = { source: SERVER, destination: EGRESS, source_port: 443, destination_port: 9000, protocol: 6 };
    const seen = now();
    const value = encode("egw_nat", {
      seen,
      egress_ip: EGRESS,
      client: "0.0.0.0",
      port: 9000,
      state: 1,
      client_mac: "00:00:00:00:00:00",
    });
    node.must(`bpftool map update pinned ${M}/egw_nat_out key hex ${hex(encode("egw_tuple", local))} value hex ${hex(value)}
bpftool map update pinned ${M}/egw_nat_in key hex ${hex(encode("egw_tuple", outside))} value hex ${hex(encode("egw_tuple", local))}
conntrack -I -p tcp -s 10.0.1.13 -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:4000 --state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m 5`);
    node.apply(PLAIN);
    expect(translated()).toEqual([
      `tcp ESTABLISHED 10.0.1.11 4000 ${EGRESS} 4000 [ASSURED] ${ANSWER_MARK}`,
      `tcp ESTABLISHED 10.0.1.13 4000 ${EGRESS} 9000 [ASSURED] 5`,
    ]);
  });

  test("is what conntrack had: with its port and its node, and nobody else gets a port of the stack's", () => {
    node.apply(PLAIN);
    const by = (protocol: string, pod: number, port: number, more: string) =>
      node.must(
        `conntrack -I -p ${protocol} -s 10.0.1.1${pod} -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:${port} ${more}`,
      );
    by("tcp", 1, 4000, `--state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m ${ANSWER_MARK}`);
    by("tcp", 2, 5000, `--state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m ${ANSWER_MARK}`);
    by("udp", 2, 6000, `-t 100 -u SEEN_REPLY -m ${markOf(client.index) + ROLE_CLUSTER}`);
    // A pod of this very node, one by another address, and one that no leg leads to.
    by("tcp", 3, 7000, "--state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY");
    node.must(
      `conntrack -I -p tcp -s 10.0.1.14 -d ${SERVER} --sport 4000 --dport 443 --src-nat 192.0.2.9:8000 --state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY`,
    );
    by("tcp", 5, 9000, `--state ESTABLISHED -t 1000 -u ASSURED,SEEN_REPLY -m ${markOf(77) + ROLE_ANSWER}`);
    node.apply(GATEWAY_CLAIMS);
    // What would give another connection by the same ports its way, for days.
    expect(translated().map((line) => line.replace(/ [0-9]+$/, ""))).toEqual([
      `tcp ESTABLISHED 10.0.1.13 4000 ${EGRESS} 7000 [ASSURED]`,
      "tcp ESTABLISHED 10.0.1.14 4000 192.0.2.9 8000 [ASSURED]",
      `tcp ESTABLISHED 10.0.1.15 4000 ${EGRESS} 9000 [ASSURED]`,
    ]);
    const seen = ([FIRST, OTHER_PORT, DATAGRAMS] as const).map((one) => {
      const value = held(one);
      return { owner: ownerOf(one) === hex(entry(one)), value: value && hex(value.subarray(8, 28)) };
    });
    const nat = (port: number, state: number) =>
      hex(
        encode("egw_nat", {
          seen: 0n,
          egress_ip: EGRESS,
          client: client.underlay,
          port,
          state,
          client_mac: CLIENT_MAC,
        }).subarray(8, 28),
      );
    expect(seen).toEqual([
      { owner: true, value: nat(4000, 1) },
      { owner: true, value: nat(5000, 1) },
      { owner: true, value: nat(6000, 1) },
    ]);
    for (const [pod, port] of [
      [3, 7000],
      [5, 9000],
    ] as const) {
      const stacks = hex(
        encode("egw_tuple", {
          source: EGRESS,
          destination: SERVER,
          source_port: port,
          destination_port: 443,
          protocol: 6,
        }),
      );
      expect({ pod, owner: ownerOf({ protocol: 6, pod: 1, ports: [4000, port] }) }).toEqual({ pod, owner: stacks });
    }
    expect(node.must(`bpftool map dump pinned ${M}/egw_nat_in | grep -c key:`).trim()).toBe("5");
    expect(node.must(`bpftool map dump pinned ${M}/egw_nat_out | grep -c key:`).trim()).toBe("5");
  });

  test("goes over and comes back with its egress IP alone, where another gateway has programs there too", () => {
    const other = gatewayClaim(
      { ...nodeOf("gateway-1"), placement: { "192.0.2.2": "gateway-1" }, datapath: "bpf" },
      "gateway-b",
    );
    node.apply([...GATEWAY_CLAIMS, other]);
    for (const one of [FIRST, OTHER_PORT, DATAGRAMS]) translate(one);
    node.apply([...PLAIN, other]);
    const connections = [
      `tcp ESTABLISHED 10.0.1.11 4000 ${EGRESS} 4000 [ASSURED] ${ANSWER_MARK}`,
      `tcp ESTABLISHED 10.0.1.12 4000 ${EGRESS} 5000 [ASSURED] ${ANSWER_MARK}`,
      `udp  10.0.1.12 4000 ${EGRESS} 6000 [ASSURED] ${ANSWER_MARK}`,
    ];
    expect({ tracked: translated(), held: [FIRST, OTHER_PORT, DATAGRAMS].map(held) }).toEqual({
      tracked: connections,
      held: [undefined, undefined, undefined],
    });
    expect(node.filters()).toContain("egw-from_client");
    node.apply([...GATEWAY_CLAIMS, other]);
    expect([FIRST, OTHER_PORT, DATAGRAMS].map((one) => held(one)?.readUInt16BE(16))).toEqual([4000, 5000, 6000]);
    expect([FIRST, OTHER_PORT, DATAGRAMS].map((one) => ownerOf(one) === hex(entry(one)))).toEqual([true, true, true]);
  });

  test("is the programs' again where the batch that gave it up fails", () => {
    node.apply(GATEWAY_CLAIMS);
    for (const one of [FIRST, OTHER_PORT, DATAGRAMS]) translate(one);
    expect(node.fail(PLAIN)).toContain("@@rolled-back");
    expect(node.filters()).toContain("egw-from_client");
    expect([FIRST, OTHER_PORT, DATAGRAMS].map((one) => held(one)?.readUInt16BE(16))).toEqual([4000, 5000, 6000]);
    expect([FIRST, OTHER_PORT, DATAGRAMS].map((one) => ownerOf(one) === hex(entry(one)))).toEqual([true, true, true]);
  });

  test("stays as it is where only the program was gone", () => {
    node.apply(GATEWAY_CLAIMS);
    translate(FIRST);
    const before = held(FIRST);
    node.must(
      `tc filter del dev egw.vxlan ingress
conntrack -I -p tcp -s 10.0.1.11 -d ${SERVER} --sport 4000 --dport 443 --src-nat ${EGRESS}:7000 --state ESTABLISHED -t 9 -m ${ANSWER_MARK}`,
    );
    node.apply(GATEWAY_CLAIMS);
    expect(held(FIRST)).toEqual(before);
    expect(translated()).toEqual([]);
    expect(ownerOf({ ...FIRST, ports: [4000, 7000] })).toBeUndefined();
  });
});
