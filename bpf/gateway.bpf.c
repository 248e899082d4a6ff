/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* On a gateway node: what comes out of the tunnel leaves with its egress IP, and answers go back the way that it came. */
#include <linux/bpf.h>

#include "maps.h"
#include "nat.h"
#include "pieces.h"
#include "rewrite.h"
#include "route.h"
#include "tunnel.h"
#include "ways.h"

/* The device by which answers come; put into the object for each attachment. */
volatile const __u32 uplink_ifindex = 0;
/*
 * Whether aggregates may pass the tunnel device by. They keep the bits of the tunnel then (no helper takes them off), by which
 * a network card that cuts tunnelled aggregates itself would cut them wrongly; a device that leaves that to the kernel, or
 * hands them on whole, does not mind.
 */
volatile const __u32 take_aggregates = 0;

/* Egress IPs by which the stack may translate here -> 1. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(__u32));
} egw_egress_ips SEC(".maps");

/* Underlay addresses of the fleet's nodes -> 1. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(__u32));
} egw_fleet SEC(".maps");

/* By whom a packet was sent into the tunnel: read from what is in front of it, or told by the tunnel device. */
static __always_inline bool read_client(struct __sk_buff *skb, const struct outer *outer, struct egw_nat *nat) {
  if (outer) {
    nat->client = outer->ip.saddr;
    __builtin_memcpy(nat->client_mac.bytes, outer->source, ETH_ALEN);
    return true;
  }
  struct bpf_tunnel_key key = {};
  if (bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY, 0)) return false;
  nat->client = bpf_htonl(key.remote_ipv4);
  return !bpf_skb_load_bytes(skb, ETH_ALEN, nat->client_mac.bytes, ETH_ALEN);
}

/* The translation of a packet out of the tunnel, a new one where a policy admits it. False with the verdict where there is none. */
static __always_inline bool choose(struct __sk_buff *skb, const struct packet *packet, const struct outer *outer,
                                   const struct egw_tuple *tuple, struct egw_nat *chosen, struct way *way,
                                   enum egw_verdict *verdict) {
  __u64 now = bpf_ktime_get_boot_ns();
  struct egw_nat *nat = held_nat_of(tuple, &now);
  /* Another connection by the same ports is the policy's again, and its client node's. */
  if (nat && packet->is_first && has_ended(nat)) {
    forget(tuple, nat);
    nat = NULL;
  }
  if (nat && nat->client) {
    note_out(nat, packet, &now);
    /* Its pod's address may have come to another node. */
    if (read_client(skb, outer, chosen) && chosen->client != nat->client) {
      nat->client_mac = chosen->client_mac;
      nat->client = chosen->client;
    }
    chosen->egress_ip = nat->egress_ip;
    chosen->port = nat->port;
  } else {
    const struct egw_policy *policy = policy_of(tuple->source, tuple->destination);
    /* Answers to pods of this node, and what another gateway is for. */
    if (!policy || policy->gateway != node_address) return *verdict = EGW_NOT_SELECTED, false;
    if (packet->is_error || !packet->is_first) return *verdict = EGW_STACK_MID_FLOW, false;
    nat = NULL;
    chosen->egress_ip = policy->egress_ip;
    chosen->seen = now;
  }
  /* By another device the stack translates: its conntrack sees the answers wherever they come in. */
  if (!find_way(skb, chosen->egress_ip, packet->tuple.destination, 0, plain_length(skb), now, way) ||
      way->ifindex != uplink_ifindex)
    return *verdict = EGW_STACK_NO_ROUTE, false;
  if (nat) return true;
  if (!is_local(skb, chosen->egress_ip)) return *verdict = EGW_DROP_NO_EGRESS_IP, false;
  if (!read_client(skb, outer, chosen)) return *verdict = EGW_DROP_NOT_ADMITTED, false;
  note_out(chosen, packet, &now);
  return take_port(tuple, chosen, &now, verdict);
}

static __always_inline struct egw_tuple tuple_sent(const struct packet *packet) {
  return packet->is_error ? answer_to(&packet->quoted) : packet->tuple;
}

/* Gives a packet of a pod its egress IP and port. */
static __always_inline bool leave_as(struct __sk_buff *skb, const struct packet *packet, const struct egw_nat *chosen) {
  if (packet->is_error) return translate_error(skb, packet, SOURCE, chosen->egress_ip, chosen->port);
  if (packet->is_later) return set_address(skb, SOURCE, packet->tuple.source, chosen->egress_ip);
  return translate(skb, packet, SOURCE, chosen->egress_ip, chosen->port);
}

static __always_inline int to_uplink(struct __sk_buff *skb, const struct packet *packet, enum egw_hook hook,
                                     const struct egw_tuple *tuple, const struct egw_nat *chosen, struct way *way) {
  if (!take_hop(skb)) return leave(hook, EGW_STACK_TTL);
  if (!leave_as(skb, packet, chosen)) return leave(hook, EGW_DROP_SHORT);
  if (packet->is_piece && !packet->is_later) note_piece(packet, tuple);
  /* Answers come by the tunnel too. */
  if (tuple->protocol == IPPROTO_TCP && packet->is_syn) clamp_segments(skb, packet, tunnel_mtu - 40);
  set_mark(skb, EGW_MARK_DONE);
  count(hook, EGW_TO_OUTSIDE);
  return send_by(uplink_ifindex, way);
}

static __always_inline int leave_by_egress_ip(struct __sk_buff *skb) {
  struct packet packet;
  struct egw_nat chosen = {};
  struct way way = {};
  enum egw_verdict verdict, reason;
  struct egw_tuple tuple;
  parse(skb, &packet, &verdict);
  forget_piece(&packet);
  if (packet.is_later) {
    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_CLIENT, verdict);
  } else {
    if (!packet.is_carried) return leave(EGW_HOOK_FROM_CLIENT, verdict);
    tuple = tuple_sent(&packet);
  }
  bool is_chosen = choose(skb, &packet, NULL, &tuple, &chosen, &way, &reason);
  if (!is_chosen) return leave(EGW_HOOK_FROM_CLIENT, reason);
  /* The tunnel device has left its own one with the packet, which goes with what the kernel finds. */
  way.ifindex = 0;
  return to_uplink(skb, &packet, EGW_HOOK_FROM_CLIENT, &tuple, &chosen, &way);
}

/*
 * A section for each program: a libbpf before 1.0 pins programs by their sections' names. Who loads says that all are classifiers.
 */

/* Ingress of the tunnel device. */
SEC("tc/from_client")
int from_client(struct __sk_buff *skb) {
  return leave_by_egress_ip(skb);
}

/*
 * Ingress of the underlay's device: the same for what has not come to the tunnel device yet. What it doesn't take goes there.
 */
SEC("tc/uplink_gateway")
int uplink_gateway(struct __sk_buff *skb) {
  struct outer outer;
  struct packet packet;
  struct egw_nat chosen = {};
  struct way way = {};
  enum egw_verdict reason;
  if (!peek(skb, &outer, &packet) || !bpf_map_lookup_elem(&egw_fleet, &outer.ip.saddr)) return TC_ACT_UNSPEC;
  if (skb->gso_size && !take_aggregates) return leave(EGW_HOOK_UPLINK_GATEWAY, EGW_STACK_TOO_BIG);
  struct egw_tuple tuple = tuple_sent(&packet);
  /* What is no drop the device gives to `from_client`. */
  if (!choose(skb, &packet, &outer, &tuple, &chosen, &way, &reason)) return leave(EGW_HOOK_UPLINK_GATEWAY, reason);
  if (!decapsulate(skb)) return leave(EGW_HOOK_UPLINK_GATEWAY, EGW_STACK_TOO_BIG);
  return to_uplink(skb, &packet, EGW_HOOK_UPLINK_GATEWAY, &tuple, &chosen, &way);
}

/* Gives an answer the address and port of its pod. */
static __always_inline bool restore(struct __sk_buff *skb, const struct packet *packet, const struct egw_tuple *tuple) {
  if (packet->is_error) return translate_error(skb, packet, DESTINATION, tuple->source, tuple->source_port);
  if (packet->is_later) return set_address(skb, DESTINATION, packet->tuple.destination, tuple->source);
  return translate(skb, packet, DESTINATION, tuple->source, tuple->source_port);
}

/* Ingress of the uplink. */
SEC("tc/from_outside")
int from_outside(struct __sk_buff *skb) {
  struct packet packet;
  struct egw_tuple tuple, answer = {};
  struct egw_nat *nat;
  enum egw_verdict verdict;
  __u64 now = 0;
  bool is_whole = parse(skb, &packet, &verdict);
  forget_piece(&packet);
  if (packet.is_later) {
    nat = find_piece(&packet, &tuple) ? nat_of(&tuple, &now) : NULL;
  } else {
    if (!is_whole && !packet.has_ports) return leave(EGW_HOOK_FROM_OUTSIDE, verdict);
    answer = packet.is_error ? answer_to(&packet.quoted) : packet.tuple;
    nat = owner_of(&answer, &tuple, &now);
  }
  if (!nat) return leave(EGW_HOOK_FROM_OUTSIDE, is_whole ? EGW_STACK_UNKNOWN_FLOW : verdict);
  /* The stack's, of a pod's connection. */
  if (nat->client && !packet.is_carried) return leave(EGW_HOOK_FROM_OUTSIDE, verdict);
  if (!packet.is_error) note_in(nat, &packet, &now);
  if (!nat->client) {
    /* The stack knows it by the port that it gave. */
    if (tuple.source_port != answer.destination_port && !restore(skb, &packet, &tuple))
      return leave(EGW_HOOK_FROM_OUTSIDE, EGW_DROP_SHORT);
    return leave(EGW_HOOK_FROM_OUTSIDE, is_whole ? EGW_STACK_UNKNOWN_FLOW : verdict);
  }
  /* What is too long is sent in fragments of the outer packet: the stack knows nothing of this connection. */
  if (!take_hop(skb)) return leave(EGW_HOOK_FROM_OUTSIDE, EGW_STACK_TTL);
  if (!restore(skb, &packet, &tuple)) return leave(EGW_HOOK_FROM_OUTSIDE, EGW_DROP_SHORT);
  if (packet.is_piece && !packet.is_later) note_piece(&packet, &tuple);
  return send_by_tunnel(skb, &packet, EGW_HOOK_FROM_OUTSIDE, nat->client, &nat->client_mac, now);
}

/* Egress of the uplink: what the stack has translated to an egress IP never leaves by a port of a pod's connection. */
SEC("tc/to_outside")
int to_outside(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (is_marked(skb, EGW_MARK_DONE)) return TC_ACT_UNSPEC;
  bool is_whole = parse(skb, &packet, &verdict);
  if (!bpf_map_lookup_elem(&egw_egress_ips, &packet.tuple.source)) return leave(EGW_HOOK_TO_OUTSIDE, EGW_NOT_SELECTED);
  /* An error, a later fragment, another protocol: nothing that has a port. */
  if (!packet.has_ports) return leave(EGW_HOOK_TO_OUTSIDE, is_whole ? EGW_TO_OUTSIDE : verdict);
  __be16 port;
  if (!port_of_stack(&packet, &port, &verdict)) return leave(EGW_HOOK_TO_OUTSIDE, verdict);
  if (port != packet.tuple.source_port && !translate(skb, &packet, SOURCE, packet.tuple.source, port))
    return leave(EGW_HOOK_TO_OUTSIDE, EGW_DROP_SHORT);
  return leave(EGW_HOOK_TO_OUTSIDE, EGW_TO_OUTSIDE);
}

char _license[] SEC("license") = "Dual MIT/GPL";
