import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { testFull } from "../setup/skip";
import { compiled } from "./kernel";

const ROOT = path.join(__dirname, "../..");

/** One line broken: what it is meant to do, the file, what stands there, what is put in its place. */
const MUTANTS: readonly (readonly [string, string, string, string])[] = [
  ["clocks are compared with a sign", "time.h", "__s64 silence(", "__u64 silence("],
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
  [
    "only IPv4 is read",
    "packet.h",
    "if (skb->protocol == bpf_htons(ETH_P_IP)) return parse_at",
    "if (skb->protocol) return parse_at",
  ],
  ["options are seen", "packet.h", "if (ip.ihl != 5)", "if (ip.ihl < 5)"],
  ["a last fragment is seen", "packet.h", "#define FRAGMENT_OFFSET 0x1fff", "#define FRAGMENT_OFFSET 0"],
  ["a first fragment is seen", "packet.h", "#define MORE_FRAGMENTS 0x2000", "#define MORE_FRAGMENTS 0"],
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
  ["ports lie behind the options", "packet.h", "at + ip.ihl * 4", "at + 20"],
  ["what is not dropped goes to the next filter", "maps.h", ": TC_ACT_UNSPEC", ": TC_ACT_OK"],
  ["a mark keeps its other bits", "maps.h", "*mark = (*mark & ~EGW_MARK_CLASS) | class;", "*mark = class;"],
  [
    "an open connection keeps its gateway",
    "client.bpf.c",
    "__be32 gateway = flow->gateway;",
    "const struct egw_policy *policy = policy_of(packet->tuple.source, packet->tuple.destination); __be32 gateway = policy ? policy->gateway : 0;",
  ],
  ["a SYN is the stack's", "client.bpf.c", "if (!is_tcp_syn(&packet)) return into", "return into"],
  ["a SYN forgets what was known", "client.bpf.c", "bpf_map_delete_elem(&egw_flows, &tuple);", ""],
  [
    "a pod speaks for itself",
    "client.bpf.c",
    "if (!is_by_its_device(skb, flow, &tuple)) return leave(EGW_HOOK_FROM_POD, EGW_STACK_OTHER_DEVICE);",
    "",
  ],
  [
    "a pod's device is that of its own route",
    "client.bpf.c",
    "device_of(skb, tuple->destination, tuple->source, BPF_FIB_LOOKUP_DIRECT) == skb->ifindex",
    "device_of(skb, tuple->source, tuple->destination, BPF_FIB_LOOKUP_DIRECT) != skb->ifindex",
  ],
  ["a pod's device is noted", "client.bpf.c", "flow->ifindex = skb->ifindex;", ""],
  ["what begins is noted", "client.bpf.c", "  note_first(skb, &tuple);", ""],
  ["only by its own device", "client.bpf.c", "else if (is_own_device(skb, tuple))", "else"],
  ["what was noted is told anew", "client.bpf.c", "noted->seen = fresh.seen;", ";"],
  [
    "what is only noted is no flow",
    "client.bpf.c",
    "if (!flow || !flow->gateway) return NULL;",
    "if (!flow) return NULL;",
  ],
  [
    "it is noted for a moment",
    "client.bpf.c",
    "!noted->gateway && silence(noted->seen, read_once(&now)) < (__s64)SECOND",
    "!noted->gateway",
  ],
  ["a refusal is the stack's", "client.bpf.c", "(!packet->is_syn || packet->is_reset)", "0"],
  ["with a SYN too", "client.bpf.c", "!packet->is_syn || packet->is_reset", "!packet->is_syn"],
  ["so are errors about what begins", "client.bpf.c", "return packet->is_error || (", "return ("],
  [
    "an answer goes to a device",
    "client.bpf.c",
    "__u32 ifindex = flow->ifindex & ~EGW_OPENING;",
    "__u32 ifindex = flow->ifindex;",
  ],
  [
    "a flow of datagrams ends",
    "client.bpf.c",
    "return is_silent(flow->seen, lifetime(tuple->protocol, flow->state) - MARGIN, *now) ? NULL : flow;",
    "return flow;",
  ],
  ["a flow is kept alive by what its pod sends", "client.bpf.c", "note(flow, packet, EGW_NAT_FIN_OUT, now);", ""],
  ["a flow is kept alive by its answers", "client.bpf.c", "note(flow, packet, EGW_NAT_FIN_IN, now);", ""],
  ["a pod's end of a connection is its own", "client.bpf.c", "packet, EGW_NAT_FIN_OUT", "packet, EGW_NAT_FIN_IN"],
  ["a pod that goes on is not reset", "client.bpf.c", "state &= ~EGW_NAT_RESET;", ";"],
  ["a pod that goes on has not ended", "nat.h", "state &= ~(EGW_NAT_RESET | EGW_NAT_CLOSED);", ";"],
  ["a reset ends a connection at once", "client.bpf.c", "packet->is_reset ? EGW_NAT_RESET : end", "end"],
  [
    "a network without a gateway is closed",
    "client.bpf.c",
    "is_tcp_syn(&packet) ? EGW_DROP_NO_GATEWAY : EGW_STACK_NO_GATEWAY",
    "EGW_STACK_NO_GATEWAY",
  ],
  [
    "nor is it a way for what begins",
    "client.bpf.c",
    "if (policy->gateway == bpf_htonl(EGW_GATEWAY_NONE))",
    "if (false)",
  ],
  [
    "what has its own node as gateway is the stack's",
    "client.bpf.c",
    "if (policy->gateway == node_address) return leave",
    "if (policy->gateway == ~node_address) return leave",
  ],
  ["and is not learned", "client.bpf.c", "if (policy->gateway == node_address) return EGW_STACK_OWN_NODE;", ""],
  [
    "nor is what goes to no gateway node",
    "client.bpf.c",
    "if (!gateway) return EGW_STACK_NO_GATEWAY;",
    "if (!gateway) gateway = (void *)&mac;",
  ],
  ["long datagrams are the stack's", "client.bpf.c", "is_longer(skb, tunnel_mtu)) return", "false) return"],
  ["long segments are not", "client.bpf.c", "packet->tuple.protocol == IPPROTO_TCP || !is_longer", "!is_longer"],
  ["what the stack chooses last counts", "client.bpf.c", "known && known->gateway == *gateway", "known"],
  ["a mark ends at the tunnel", "client.bpf.c", "set_mark(skb, 0);", ""],
  ["answers come from the flow's gateway", "client.bpf.c", " || bpf_htonl(key.remote_ipv4) != flow->gateway)", ")"],
  ["a frame has the gateway's address", "tunnel.h", "bpf_skb_store_bytes(skb, 0, other.bytes, ETH_ALEN, 0) ||", ""],
  [
    "a port that somebody has is not free",
    "nat.h",
    "if (failed == -EEXIST && take_over(&answer, &forward, now)) {",
    "if (failed == -EEXIST) {",
  ],
  [
    "an egress IP has to be there",
    "gateway.bpf.c",
    "if (!is_local(skb, chosen->egress_ip))",
    "if (!chosen->egress_ip)",
  ],
  [
    "what begins comes out of the tunnel",
    "gateway.bpf.c",
    "if (bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY, 0)) return false;",
    "bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY, 0);",
  ],
  [
    "another gateway's policies are none of this node's",
    "gateway.bpf.c",
    "if (!policy || policy->gateway != node_address)",
    "if (!policy || policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED))",
  ],
  [
    "only what leads out by the uplink is translated",
    "gateway.bpf.c",
    "way->ifindex != uplink_ifindex)",
    "!way->ifindex)",
  ],
  ["an answer is noted", "nat.h", "__u8 state = nat->state | EGW_NAT_ANSWERED;", "__u8 state = nat->state;"],
  [
    "a silent owner gives its port up",
    "time.h",
    "if (state & EGW_NAT_CLOSED) return 10;",
    "if (state & EGW_NAT_CLOSED) return 432000;",
  ],
  [
    "a port that another CPU is about to have is not free",
    "nat.h",
    "return nat && !is_alive(nat, tuple->protocol, now) &&",
    "return !nat || !is_alive(nat, tuple->protocol, now) &&",
  ],
  ["a port whose owner is silent is free", "nat.h", "return nat && !is_alive(nat,", "return nat && is_alive(nat,"],
  ["of two CPUs one takes a port over", "nat.h", " && !bpf_map_delete_elem(&egw_nat_out, &owner);", ";"],
  ["a port whose owner has another one is free", "nat.h", "if (nat && (nat->port !=", "if (0 && (nat->port !="],
  [
    "a gateway pod's connection that goes on is not reset",
    "connections.h",
    "state &= ~(EGW_NAT_RESET | EGW_NAT_CLOSED);",
    ";",
  ],
  ["errors keep no flow", "client.bpf.c", "if (packet->is_error) return;\n  __u8 state", "__u8 state"],
  ["a port that was the connection's own before is free", "nat.h", "if (former && !is_alive(", "if (0 && !is_alive("],
  ["what another one has by now stays", "nat.h", "if (owner && is_same(owner, tuple)) bpf_map", "if (owner) bpf_map"],
  ["the stack's ports are known for longer", "nat.h", " + 1, read_once", ", read_once"],
  [
    "what the node answers holds no port",
    "nat.h",
    "packet->is_reset || (packet->is_syn && !packet->is_first) ||",
    "0 ||",
  ],
  [
    "what the node answers to an echo holds no port",
    "nat.h",
    "(tuple.protocol == IPPROTO_ICMP && !packet->is_first)",
    "0",
  ],
  ["what the node answers has no pod's port", "nat.h", "return !owner;", "return true;"],
  ["the stack goes on by a connection's own port", "nat.h", " && other.source_port == tuple.source_port;", ";"],
  ["a pod's reset ends", "nat.h", "state |= EGW_NAT_RESET | EGW_NAT_CLOSED;", "state |= EGW_NAT_RESET;"],
  ["a reset from outside may be forged", "nat.h", "nat->state & EGW_NAT_ANSWERED ? EGW_NAT_RESET :", "0 ? 0 :"],
  ["a refusal ends", "nat.h", "? EGW_NAT_RESET : EGW_NAT_RESET | EGW_NAT_CLOSED;", "? EGW_NAT_RESET : EGW_NAT_RESET;"],
  [
    "an end from outside may be forged",
    "time.h",
    "state & (EGW_NAT_FIN_OUT |",
    "state & (EGW_NAT_FIN_IN | EGW_NAT_FIN_OUT |",
  ],
  ["a pod's end counts", "time.h", "state & (EGW_NAT_FIN_OUT | EGW_NAT_RESET)", "state & EGW_NAT_RESET"],
  ["a flow ends before its translation", "client.bpf.c", "#define MARGIN 2", "#define MARGIN 0"],
  [
    "a flow goes on later than its translation",
    "client.bpf.c",
    "#define LATE (SECOND + SECOND / 2)",
    "#define LATE SECOND",
  ],
  ["a flow that goes on is known", "client.bpf.c", "if (is_late) state |= EGW_NAT_LASTING;", ""],
  ["a flow knows that it is answered", "client.bpf.c", "state |= EGW_NAT_ANSWERED;", ";"],
  ["a VLAN's frames are not looked at", "packet.h", "if (is_tagged(skb) || bpf", "if (bpf"],
  [
    "a gateway pod's connection that is reset from outside stays a while",
    "connections.h",
    "connection->state & EGW_NAT_ANSWERED ?",
    "0 ?",
  ],
  ["a connection that has ended is the policy's again", "gateway.bpf.c", "packet->is_first && has_ended(nat)", "false"],
  ["one that has ended on one side has not", "nat.h", "(nat->state & both) == both", "nat->state & both"],
  ["behind another header is no IPv4", "packet.h", " || ip.version != 4)", ")"],
  ["an error goes to whom it is for", "packet.h", "packet->quoted.source == packet->tuple.destination", "true"],
  ["a SYN begins anew", "nat.h", "if (packet->is_first && packet->is_syn) state = 0;", ""],
  ["other ports are in their range", "nat.h", "return bpf_htons(first_port + (random", "return bpf_htons((random"],
  ["tries reach round the whole range", "nat.h", "i * (size / TRIES + 1)", "i"],
  ["one exchange of datagrams is no stream", "time.h", "(state & stream) == stream ?", "state & EGW_NAT_ANSWERED ?"],
  ["what is not answered is no stream", "time.h", "(state & stream) == stream ?", "state & EGW_NAT_LASTING ?"],
  ["what goes on is a stream", "nat.h", "state |= lasting(nat->seen, read_once(now));", ""],
  [
    "what was evicted is written again",
    "nat.h",
    "return bpf_map_update_elem(&egw_nat_in, &answer, tuple, BPF_NOEXIST) != -EEXIST;",
    "return true;",
  ],
  [
    "a port that is another one's by now is left",
    "nat.h",
    "if (owner) return is_same(owner, tuple);",
    "if (owner) return true;",
  ],
  ["a new connection does not go on", "gateway.bpf.c", "chosen->seen = now;", ""],
  ["a new connection of the stack does not go on", "nat.h", ", .seen = read_once(&now)};", "};"],
  ["a gateway pod's stream goes on", "connections.h", "state |= lasting(connection->seen, now);", ""],
  [
    "mid-flow without a translation is the stack's",
    "gateway.bpf.c",
    "if (packet->is_error || !packet->is_first) return *verdict = EGW_STACK_MID_FLOW, false;",
    "",
  ],
  [
    "the stack's ports are reserved",
    "nat.h",
    "if (!take_port(&tuple, &fresh, &now, verdict)) return false;\n  *port = fresh.port;",
    "*port = tuple.source_port;",
  ],
  ["the stack has no port of a pod's", "gateway.bpf.c", "if (port != packet.tuple.source_port) {", "if (0) {"],
  ["the stack has its own port back", "gateway.bpf.c", "tuple.source_port != answer.destination_port &&", "0 &&"],
  [
    "what has options has its connection's port",
    "gateway.bpf.c",
    "if (chosen.port == tuple.source_port) set_mark(skb, EGW_MARK_OWN_PORT);",
    "",
  ],
  [
    "but only its own one",
    "gateway.bpf.c",
    "if (chosen.port == tuple.source_port) set_mark(skb, EGW_MARK_OWN_PORT);",
    "set_mark(skb, EGW_MARK_OWN_PORT);",
  ],
  [
    "what is translated passes",
    "gateway.bpf.c",
    "set_mark(skb, EGW_MARK_DONE);\n  count(hook, EGW_TO_OUTSIDE)",
    "count(hook, EGW_TO_OUTSIDE)",
  ],
  ["the stack's answers are its own", "gateway.bpf.c", "  if (!nat->client) {\n", "  if (0) {\n"],
  ["the stack's tuple is no translation", "gateway.bpf.c", "if (nat && nat->client) {", "if (nat) {"],
  ["a tunnel has a port", "tunnel.h", "outer->udp.dest == tunnel_port && ", ""],
  ["a tunnel is UDP", "tunnel.h", "outer->ip.protocol == IPPROTO_UDP && ", ""],
  ["a tunnel ends at its node", "tunnel.h", "outer->ip.daddr == node_address &&", ""],
  ["outer options are seen", "tunnel.h", "outer->ip.ihl == 5 && ", ""],
  [
    "outer fragments are seen",
    "tunnel.h",
    "!(outer->ip.frag_off & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET)) &&",
    "",
  ],
  ["congestion is told", "tunnel.h", "(outer->ip.tos & ECN) != ECN && ", ""],
  ["outer checksums are compared by the device", "tunnel.h", "!outer->udp.check && ", ""],
  ["a tunnel has a network", "tunnel.h", "outer->vni == bpf_htonl(tunnel_vni << 8) && ", ""],
  ["a tunnel has a device", "tunnel.h", "is_own(outer->destination) &&", ""],
  ["the last hop ends before the tunnel's does", "tunnel.h", " && packet->ttl > 1;", ";"],
  ["the outer header has a checksum", "tunnel.h", "  outer.ip.check = folded", "  (void)folded"],
  ["outer packets have ids of their own", "tunnel.h", ".id = bpf_get_prandom_u32(),", ""],
  ["congestion can be told", "tunnel.h", ".tos = outer_tos(packet->tos),", ""],
  ["and is not told at once", "tunnel.h", "(inner & ECN) == ECN ? 2 : inner & ECN", "inner & ECN"],
  ["an outer packet fits its way", "ways.h", ".tot_len = total,", ""],
  ["a way is looked up anew", "ways.h", "silence(known->looked, now) < (__s64)WAY_NS && ", ""],
  ["a way has room", "ways.h", " && length <= known->longest", ""],
  ["a translation is kept alive", "nat.h", "renew(&nat->seen, read_once(now));", ""],
  ["an aggregate is as long as its segments", "tunnel.h", "return skb->gso_size ?", "return false ?"],
  ["a SYN-ACK is clamped", "client.bpf.c", "clamp_segments(skb, packet, tunnel_mtu - 40);", ";"],
  ["that of a connection of the stack too", "client.bpf.c", "clamp_segments(skb, &packet, tunnel_mtu - 40);", ";"],
  ["a SYN is clamped", "gateway.bpf.c", "clamp_segments(skb, packet, tunnel_mtu - 40);", ";"],
  ["an aggregate is told to be of a tunnel", "tunnel.h", " | BPF_F_ADJ_ROOM_ENCAP_L4_UDP", ""],
  ["what is decapsulated is as it was", "tunnel.h", "skb, -(__s32)OUTER, BPF", "skb, -(__s32)OUTER + 2, BPF"],
  [
    "answers out of the tunnel come from their gateway",
    "client.bpf.c",
    "!flow || flow->gateway != outer.ip.saddr",
    "!flow",
  ],
  [
    "only the fleet's nodes are admitted",
    "gateway.bpf.c",
    " || !bpf_map_lookup_elem(&egw_fleet, &outer.ip.saddr))",
    ")",
  ],
  ["an aggregate is the device's", "gateway.bpf.c", "skb->gso_size && !take_aggregates", "false"],
  [
    "answers go to the node that sent",
    "gateway.bpf.c",
    "nat->client = outer->ip.saddr;",
    "nat->client = outer->ip.daddr;",
  ],
  [
    "and to its device",
    "gateway.bpf.c",
    "__builtin_memcpy(nat->client_mac.bytes, outer->source",
    "__builtin_memcpy(nat->client_mac.bytes, outer->destination",
  ],
  [
    "a first fragment tells of those behind it",
    "pieces.h",
    "  bpf_map_update_elem(&egw_pieces",
    "  if (0) bpf_map_update_elem(&egw_pieces",
  ],
  ["fragments are told apart", "pieces.h", ".id = packet->id,", ""],
  [
    "another packet's fragments are forgotten in front of the outside",
    "gateway.bpf.c",
    "  forget_piece(&packet);\n  if (packet.is_later) {\n    nat =",
    "  if (packet.is_later) {\n    nat =",
  ],
  [
    "another packet's fragments are forgotten in front of the pod",
    "client.bpf.c",
    "  forget_piece(&packet);\n  if (packet.is_later) {\n    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_GATEWAY",
    "  if (packet.is_later) {\n    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_GATEWAY",
  ],
  [
    "another packet's fragments are forgotten behind the pod",
    "client.bpf.c",
    "  forget_piece(&packet);\n  if (packet.is_later) {\n    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_POD",
    "  if (packet.is_later) {\n    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_POD",
  ],
  [
    "another packet's fragments are forgotten behind the tunnel",
    "gateway.bpf.c",
    "  forget_piece(&packet);\n  if (packet.is_later) {\n    if (!find",
    "  if (packet.is_later) {\n    if (!find",
  ],
  [
    "a pod's first fragment tells of those behind it",
    "client.bpf.c",
    "  if (packet->is_piece && !packet->is_later) note_piece(packet, tuple);\n",
    "",
  ],
  [
    "one that leaves does so too",
    "gateway.bpf.c",
    "  if (packet->is_piece && !packet->is_later) note_piece(packet, tuple);\n",
    "",
  ],
  [
    "a later fragment that leaves has no port",
    "gateway.bpf.c",
    "if (packet->is_later) return set_address(skb, SOURCE",
    "if (0) return set_address(skb, SOURCE",
  ],
  [
    "fragments leave by programs",
    "gateway.bpf.c",
    "if (is_whole || verdict == EGW_STACK_FRAGMENT) return to_uplink",
    "if (is_whole) return to_uplink",
  ],
  [
    "what begins in fragments is the stack's",
    "client.bpf.c",
    "  if (!is_whole) return leave(EGW_HOOK_FROM_POD, verdict);\n",
    "",
  ],
  [
    "what the stack would send elsewhere is not its to cut",
    "client.bpf.c",
    "return policy && policy->gateway == flow->gateway;",
    "return policy || flow->gateway;",
  ],
  [
    "what comes by a device without a program is the stack's both ways",
    "client.bpf.c",
    "    if (noted->ifindex && !is_opening) noted->ifindex = 0;\n",
    "",
  ],
  [
    "what has options says nothing of that",
    "client.bpf.c",
    "if (is_whole && noted && noted->gateway) {",
    "if (noted && noted->gateway) {",
  ],
  [
    "a SYN of such a device begins anew",
    "client.bpf.c",
    "if (is_tcp_syn(&packet) || !gateway || noted",
    "if (!gateway || noted",
  ],
  [
    "what such a device sends elsewhere is no flow",
    "client.bpf.c",
    "if (is_tcp_syn(&packet) || !gateway || noted->gateway != *gateway) {",
    "if (is_tcp_syn(&packet)) {",
  ],
  [
    "answers that a pod's device does not take whole are cut",
    "client.bpf.c",
    "  if (!is_whole_there && !send_half(skb, packet->tuple.destination, ifindex)) return leave(hook, EGW_DROP_SHORT);\n",
    "",
  ],
  [
    "they are the tunnel device's",
    "client.bpf.c",
    "packet.tuple.destination, length, length, now, &way)) return leave",
    "packet.tuple.destination, 20, 20, now, &way)) return leave",
  ],
  ["the second half is behind the first one", "split.h", "behind = fragment + half / 8;", "behind = fragment;"],
  ["the first half is not the last", "split.h", "  fragment |= MORE_FRAGMENTS;\n", ""],
  [
    "the second half has its own bytes",
    "split.h",
    "!bpf_skb_store_bytes(skb, L4, kept, bounded(rest), BPF_F_RECOMPUTE_CSUM) &&\n           ",
    "",
  ],
  ["the first half is no shorter", "split.h", "((bytes + 1) / 2 + 7)", "(bytes / 2 + 7)"],
  ["fragments keep their id", "split.h", "if (fragment == DONT_FRAGMENT) ip.id", "if (fragment & DONT_FRAGMENT) ip.id"],
  ["what has just begun keeps its device", "client.bpf.c", "if (noted->ifindex && !is_opening)", "if (noted->ifindex)"],
  ["a half may be in fragments", "split.h", "  fragment &= ~DONT_FRAGMENT;\n", ""],
  [
    "halves of packets without an id are told apart",
    "split.h",
    "  if (fragment == DONT_FRAGMENT) ip.id = bpf_get_prandom_u32();\n",
    "",
  ],
  ["halves have headers of their own", "split.h", " || ip.ihl != 5) return true;", ") return true;"],
  ["a later fragment forgets nothing", "pieces.h", "!packet->is_piece || packet->is_later", "!packet->is_piece"],
  ["data are no options", "rewrite.h", "at + 4 > end", "at > end + 4"],
  ["answers follow their pod", "gateway.bpf.c", "      nat->client = chosen->client;\n", ""],
  ["answers follow its node's device", "gateway.bpf.c", "      nat->client_mac = chosen->client_mac;\n", ""],
  ["fragments end", "pieces.h", " || is_silent(piece->seen, PIECES_SECONDS, bpf_ktime_get_boot_ns())", ""],
  [
    "a later fragment has no port",
    "gateway.bpf.c",
    "if (packet->is_later) return set_address(skb, DESTINATION",
    "if (0) return set_address(skb, DESTINATION",
  ],
  [
    "policies of nodes are none of gateway pods",
    "connections.bpf.c",
    "policy && is_gateway_pod(policy->gateway) ?",
    "policy ?",
  ],
  [
    "a client pod begins by its device",
    "connections.bpf.c",
    "if ((!known || known->ifindex != skb->ifindex) && !is_by_its_device(skb, tuple))",
    "if (0)",
  ],
  ["a SYN asks policies anew", "connections.bpf.c", "known && !is_syn ? known->gateway", "known ? known->gateway"],
  ["a client that is heard is this node's", "connections.bpf.c", "known->begun = EGRESS_CLIENT;", ""],
  [
    "what is known is of one gateway pod",
    "connections.bpf.c",
    "(known && known->gateway == workload_address)",
    "(known && known->gateway)",
  ],
  [
    "a policy is for one gateway pod",
    "connections.bpf.c",
    "gateway_of(passage->tuple.destination, passage->tuple.source) == workload_address);",
    "gateway_of(passage->tuple.destination, passage->tuple.source));",
  ],
  [
    "another source than the pod's own is dropped",
    "connections.bpf.c",
    "is_own ? EGW_STACK_UNKNOWN_FLOW : EGW_DROP_OTHER_SOURCE",
    "EGW_STACK_UNKNOWN_FLOW",
  ],
  [
    "[3] what conntrack knows stays conntrack's",
    "connections.bpf.c",
    "known && known->begun == EGRESS_CLIENT ? EGW_MARK_SKIP_RPF",
    "0 ? EGW_MARK_SKIP_RPF",
  ],
  [
    "[2] what conntrack can't know is none of conntrack's",
    "connections.bpf.c",
    "known && known->begun == EGRESS_CLIENT ? EGW_MARK_SKIP_RPF",
    "known ? EGW_MARK_SKIP_RPF",
  ],
  [
    "[2] both sides are allowed",
    "connections.bpf.c",
    "workload_address, EGW_SIDE_SOURCE | EGW_SIDE_DESTINATION);",
    "workload_address, EGW_SIDE_DESTINATION);",
  ],
  [
    "an error goes to whom the quoted packet is of",
    "connections.bpf.c",
    "packet->tuple.destination == passage->tuple.destination &&",
    "",
  ],
  [
    "[4] an answer may come by another device",
    "connections.bpf.c",
    "if (device_of(skb, packet->tuple.destination, packet->tuple.source, 0) != skb->ifindex) set_mark",
    "if (0) set_mark",
  ],
  [
    "[4] and only where that is not the way",
    "connections.bpf.c",
    "packet->tuple.source, 0) != skb->ifindex) set_mark",
    "packet->tuple.source, 0)) set_mark",
  ],
  [
    "answers come in on their client's node",
    "connections.bpf.c",
    " && passage.connection->begun == EGRESS_CLIENT)",
    ")",
  ],
  ["and leave the gateway pod's", "connections.bpf.c", " && passage.connection->begun == EGRESS_GATEWAY)", ")"],
  ["marks end at the node", "connections.bpf.c", " || is_marked(skb, EGW_MARK_UNTRACKED)) set_mark", ") set_mark"],
  [
    "the tunnel has its port where it goes to",
    "connections.bpf.c",
    "tuple->destination_port == tunnel_port",
    "tuple->source_port == tunnel_port",
  ],
  [
    "the tunnel of nodes is none of gateway pods",
    "connections.bpf.c",
    "return is_tunnel(tuple) && (is_gateway_pod(tuple->destination) || is_gateway_pod(tuple->source));",
    "return is_tunnel(tuple);",
  ],
  [
    "a fragment without its first one goes by its addresses",
    "connections.bpf.c",
    "return leave(EGW_HOOK_FROM_WORKLOAD, EGW_DROP_OTHER_SOURCE);",
    "return leave(EGW_HOOK_FROM_WORKLOAD, EGW_STACK_FRAGMENT);",
  ],
  ["a pod is not both", "connections.h", "(is_client || !workload_address)", "(!workload_address)"],
  [
    "what is silent is not known",
    "connections.h",
    "!is_silent(connection->seen, lifetime(key->protocol, connection->state), bpf_ktime_get_boot_ns()) ?",
    "true ?",
  ],
  [
    "an error is of what it quotes",
    "connections.h",
    "packet->is_error ? answer_to(&packet->quoted) : packet->tuple;",
    "packet->tuple;",
  ],
  [
    "what leaves mid-flow has to be allowed",
    "connections.h",
    "if (!is_into_node && passage->tuple.protocol == IPPROTO_TCP && !passage->is_first)",
    "if (0)",
  ],
  [
    "each hook allows its own side",
    "connections.h",
    "is_into_node == passage->is_answer ?",
    "is_into_node != passage->is_answer ?",
  ],
  ["nothing is told that is not asked for", "connections.h", "if (trace) {", "{"],
];

/** Whose tests probably catch a broken file. */
const NEAREST: Readonly<Record<string, string>> = {
  "client.bpf.c": "client",
  "packet.h": "client",
  "maps.h": "client",
  "tunnel.h": "uplink",
  "pieces.h": "pieces",
  "ways.h": "ways",
  "split.h": "split",
};
/** Tests of a file by BPF_PROG_TEST_RUN, the likely ones first, and then those by real traffic. */
const testsOf = (file: string): readonly string[] => {
  if (file.startsWith("connections")) return ["connections", "gateway-pod"];
  const nearest = NEAREST[file] ?? "gateway";
  const others = ["client", "uplink", "pieces", "split", "ways", "gateway"].filter((name) => name !== nearest);
  return [nearest, ...others, "traffic"];
};

/** Runs tests with the programs of a folder; undefined where nothing fails. */
function run(tests: string, folder: string): { readonly status: number | null; readonly stderr: string } | undefined {
  const jest = path.join(ROOT, "node_modules/.bin/jest");
  const patterns = [
    "--testPathPatterns",
    `test/bpf/(${tests})\\.test`,
    "--testNamePattern",
    "^(?!.*(twenty|a hundred) times)",
  ];
  const environment = ["--env", path.join(__dirname, "first-failure.ts")];
  const ended = spawnSync(jest, ["--selectProjects", "real", ...environment, ...patterns], {
    cwd: ROOT,
    encoding: "utf8",
    env: { ...process.env, EGW_BPF_SOURCES: path.join(folder, "bpf"), EGW_FULL: "" },
  });
  return ended.status === 0 ? undefined : ended;
}

function caughtBy(tests: readonly string[], folder: string): ReturnType<typeof run> {
  for (const one of tests) {
    const caught = run(one, folder);
    if (caught) return caught;
  }
  return undefined;
}

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

testFull(
  "programs that are whole fail none of these tests",
  () => {
    for (const file of ["gateway.bpf.c", "connections.bpf.c"])
      expect(caughtBy(testsOf(file), folder)?.stderr ?? "").toBe("");
  },
  600_000,
);

for (const [purpose, file, before, after] of MUTANTS)
  testFull(
    `programs that are broken fail a test: ${purpose}`,
    () => {
      const source = path.join(folder, "bpf", file);
      const text = fs.readFileSync(source, "utf8");
      expect(text.split(before)).toHaveLength(2);
      fs.writeFileSync(source, text.replace(before, after));
      // One that no compiler takes is no mutant.
      for (const name of ["client", "gateway", "connections"])
        compiled(path.join(folder, "bpf", `${name}.bpf.c`), folder, false);
      const { status, stderr } = caughtBy(testsOf(file), folder) ?? {};
      const caught = /● .*/.exec(stderr ?? "")?.[0] ?? "nothing";
      console.info(`${purpose}: caught by ${caught}`);
      expect({ purpose, status, caught }).toMatchObject({ status: 1, caught: expect.stringContaining("●") });
    },
    120_000,
  );
