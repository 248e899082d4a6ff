import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { testFull } from "../setup/skip";
import { compiled } from "./kernel";

const ROOT = path.join(__dirname, "../..");

/** One line broken: what it is meant to do, the file, what stands there, what is put in its place. */
const MUTANTS: readonly (readonly [string, string, string, string])[] = [
  ["clocks are compared with a sign", "gateway.bpf.c", "__s64 silent = bpf", "__u64 silent = bpf"],
  ["a policy's source counts whole", "maps.h", ".prefix_length = 64, .source", ".prefix_length = 48, .source"],
  [
    "an excluded network is none of a wide policy",
    "maps.h",
    "if (own && own->gateway != bpf_htonl(EGW_GATEWAY_EXCLUDED)) return own;",
    "if (own) return own;",
  ],
  ["a class's own policy is asked", "maps.h", "key.source = *class;", ""],
  ["what has no wide policy keeps its own", "maps.h", "return wide ? wide : own;", "return wide;"],
  ["drops drop", "maps.h", "verdict >= EGW_DROP_SHORT ?", "verdict > EGW_VERDICTS ?"],
  ["only IPv4 is read", "packet.h", "skb->protocol != bpf_htons(ETH_P_IP)", "skb->protocol == 0"],
  ["options are seen", "packet.h", "if (ip.ihl != 5)", "if (ip.ihl < 5)"],
  ["a last fragment is seen", "packet.h", "#define FRAGMENTED 0x3fff", "#define FRAGMENTED 0x2000"],
  ["a first fragment is seen", "packet.h", "#define FRAGMENTED 0x3fff", "#define FRAGMENTED 0x1fff"],
  ["a SYN alone begins", "packet.h", "tcp.syn && !tcp.ack", "tcp.syn"],
  ["an echo has its id as a port", "packet.h", "tuple->source_port = icmp->id;", "tuple->destination_port = icmp->id;"],
  [
    "an echo's answer has it on the other side",
    "packet.h",
    "tuple->destination_port = icmp->id;",
    "tuple->source_port = icmp->id;",
  ],
  ["an error is told from an echo", "packet.h", "packet->is_error = is_error(icmp.type);", "packet->is_error = false;"],
  ["a quote lies behind the ICMP header", "packet.h", "#define QUOTE (L4 + sizeof(struct icmp))", "#define QUOTE L4"],
  [
    "answers have their ends swapped",
    "packet.h",
    ".source_port = tuple->destination_port,",
    ".source_port = tuple->source_port,",
  ],
  [
    "an address is in the pseudo header",
    "rewrite.h",
    "flags | BPF_F_PSEUDO_HDR | sizeof(address)",
    "flags | sizeof(address)",
  ],
  [
    "a UDP checksum that is none stays none",
    "rewrite.h",
    "flags = BPF_F_MARK_MANGLED_0;",
    "flags = BPF_F_MARK_ENFORCE | BPF_F_MARK_MANGLED_0;",
  ],
  [
    "a port is in the checksum",
    "rewrite.h",
    "if (bpf_l4_csum_replace(skb, sum, old_port, port, flags | sizeof(port))) return false;",
    "",
  ],
  ["a port is written", "rewrite.h", "if (bpf_skb_store_bytes(skb, at, &port, sizeof(port), 0)) return false;", ""],
  [
    "the IP checksum follows the address",
    "rewrite.h",
    "!bpf_l3_csum_replace(skb, L3 + offsetof(struct iphdr, check), before, after, sizeof(after)) &&\n         !bpf_skb_store_bytes(skb, address_at(side)",
    "!bpf_skb_store_bytes(skb, address_at(side)",
  ],
  [
    "the right side is written",
    "rewrite.h",
    "side == SOURCE ? offsetof(struct iphdr, saddr)",
    "side != SOURCE ? offsetof(struct iphdr, saddr)",
  ],
  [
    "the TCP checksum is where it is",
    "rewrite.h",
    "sum += offsetof(struct tcphdr, check);",
    "sum += offsetof(struct tcphdr, window);",
  ],
  ["a hop is taken", "rewrite.h", "= ttl - 1;", "= ttl;"],
  ["the last hop is left to the stack", "rewrite.h", "if (ttl <= 1) return false;", ""],
  [
    "a hop is in the IP checksum",
    "rewrite.h",
    "!bpf_l3_csum_replace(skb, L3 + offsetof(struct iphdr, check), before, after, sizeof(after)) &&\n         !bpf_skb_store_bytes(skb, at",
    "!bpf_skb_store_bytes(skb, at",
  ],
  ["length counts without the Ethernet header", "rewrite.h", "skb->len > ETH_HLEN + bytes", "skb->len > bytes"],
  ["a quote's own address is translated", "rewrite.h", "after.ip.saddr = address;", ""],
  ["a quote's IP checksum is right", "rewrite.h", "after.ip.check = 0;", ""],
  [
    "a quote's UDP checksum is right",
    "rewrite.h",
    "if (before.ip.protocol == IPPROTO_UDP && before.ports.checksum)",
    "if (false)",
  ],
  ["a quote's echo id is translated", "rewrite.h", "after.icmp.id = port;", ""],
  [
    "an error's checksum covers its quote",
    "rewrite.h",
    "!bpf_l4_csum_replace(skb, L4 + offsetof(struct icmp, checksum), 0, change, 0) &&",
    "change == change + 0 * 1 &&",
  ],
  [
    "an answer of a pod is none of its connections",
    "client.bpf.c",
    "if (flow && flow->kind == EGW_FLOW_ANSWER)",
    "if (flow && flow->kind == 7)",
  ],
  [
    "a connection without its policy ends",
    "client.bpf.c",
    "if (!policy || policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return leave(EGW_FROM_POD, EGW_DROP_CUT);",
    "",
  ],
  [
    "an open connection keeps its gateway",
    "client.bpf.c",
    "return into_tunnel(skb, flow->gateway);",
    "return into_tunnel(skb, policy ? policy->gateway : 0);",
  ],
  [
    "what is mid-flow is the stack's",
    "client.bpf.c",
    "if (!packet.is_first) return leave(EGW_FROM_POD, EGW_STACK_MID_FLOW);",
    "",
  ],
  [
    "a network without a gateway is closed",
    "client.bpf.c",
    "if (policy->gateway == bpf_htonl(EGW_GATEWAY_NONE)) return leave(EGW_FROM_POD, EGW_DROP_NO_GATEWAY);",
    "",
  ],
  [
    "UDP is begun by the stack",
    "client.bpf.c",
    "if (tuple.protocol != IPPROTO_TCP) return leave(EGW_FROM_POD, EGW_STACK_UNKNOWN_FLOW);",
    "",
  ],
  ["a frame has the gateway's address", "client.bpf.c", "bpf_skb_store_bytes(skb, 0, peer->bytes, ETH_ALEN, 0) ||", ""],
  ["a port that somebody has is not free", "gateway.bpf.c", "return !nat || !is_alive(&other, nat);", "return true;"],
  [
    "an egress IP has to be there",
    "gateway.bpf.c",
    "if (!bpf_map_lookup_elem(&egw_addresses, &fresh.egress_ip))",
    "if (!fresh.egress_ip)",
  ],
  [
    "what begins comes out of the tunnel",
    "gateway.bpf.c",
    "if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) return leave(EGW_FROM_CLIENT, EGW_DROP_NOT_ADMITTED);",
    "bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0);",
  ],
  ["an answer is noted", "gateway.bpf.c", "nat->state |= EGW_NAT_ANSWERED |", "nat->state |="],
  [
    "a silent owner gives its port up",
    "gateway.bpf.c",
    "if (state & EGW_NAT_RESET) return 10 * SECOND;",
    "if (state & EGW_NAT_RESET) return 432000 * SECOND;",
  ],
  [
    "other ports are in their range",
    "gateway.bpf.c",
    "return bpf_htons(first_port + port % size);",
    "return bpf_htons(port % size);",
  ],
  [
    "mid-flow without a translation is the stack's",
    "gateway.bpf.c",
    "if (packet.is_error || !packet.is_first) return leave(EGW_FROM_CLIENT, EGW_STACK_MID_FLOW);",
    "",
  ],
];

let folder = "";
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-mutant-"));
  for (const part of ["bpf", "test/bpf"])
    fs.cpSync(path.join(ROOT, part), path.join(folder, part), {
      recursive: true,
      filter: (name) => !name.endsWith(".ts"),
    });
});
afterEach(() => fs.rmSync(folder, { recursive: true }));

for (const [purpose, file, before, after] of MUTANTS)
  testFull(
    `programs that are broken fail a test: ${purpose}`,
    () => {
      const source = path.join(folder, "bpf", file);
      const text = fs.readFileSync(source, "utf8");
      expect(text.split(before)).toHaveLength(2);
      fs.writeFileSync(source, text.replace(before, after));
      // One that no compiler takes is no mutant.
      for (const name of ["client", "gateway"]) compiled(path.join(folder, "bpf", `${name}.bpf.c`), folder, false);
      const jest = path.join(ROOT, "node_modules/.bin/jest");
      const tests = "test/bpf/(client|gateway|traffic)";
      const { status, stderr } = spawnSync(
        jest,
        [
          "--selectProjects",
          "real",
          "--bail",
          "--testPathPatterns",
          tests,
          "--testNamePattern",
          "^(?!.*a hundred times)",
        ],
        {
          cwd: ROOT,
          encoding: "utf8",
          env: { ...process.env, EGW_BPF_SOURCES: path.join(folder, "bpf"), EGW_FULL: "" },
        },
      );
      const caught = /● .*/.exec(stderr)?.[0] ?? "nothing";
      console.info(`${purpose}: caught by ${caught}`);
      expect({ purpose, status, caught }).toMatchObject({ status: 1, caught: expect.stringContaining("●") });
    },
    120_000,
  );
