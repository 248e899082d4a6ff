/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* On a gateway node: what comes out of the tunnel leaves with its egress IP, and answers go back the way that it came. */
#include <linux/bpf.h>

#include "maps.h"
#include "nat.h"
#include "rewrite.h"
#include "route.h"

/* Put into the object for each attachment. */
volatile const __u32 tunnel_ifindex = 0;
volatile const __u32 tunnel_mtu = 1450;
volatile const __u32 tunnel_vni = 4097;
volatile const struct egw_mac tunnel_mac = {};
/* The device by which answers come. */
volatile const __u32 uplink_ifindex = 0;
/* The node's underlay address. */
volatile const __be32 node_address = 0;

/* Egress IPs by which the stack may translate here -> 1. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(__u32));
} egw_egress_ips SEC(".maps");

static __always_inline int leave_by_egress_ip(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  bool is_whole = parse(skb, &packet, &verdict);
  if (!is_whole && !packet.has_ports) return leave(EGW_HOOK_FROM_CLIENT, verdict);
  struct egw_tuple tuple = packet.is_error ? answer_to(&packet.quoted) : packet.tuple;
  struct egw_nat fresh = {}, *nat = nat_of(&tuple);
  if (nat && nat->client) {
    note_out(nat, &packet);
    fresh.egress_ip = nat->egress_ip;
    fresh.port = nat->port;
  } else {
    const struct egw_policy *policy = policy_of(tuple.source, tuple.destination);
    /* Answers to pods of this node, and what another gateway is for. */
    if (!policy || policy->gateway != node_address) return leave(EGW_HOOK_FROM_CLIENT, EGW_NOT_SELECTED);
    if (packet.is_error || !packet.is_first) return leave(EGW_HOOK_FROM_CLIENT, is_whole ? EGW_STACK_MID_FLOW : verdict);
    nat = NULL;
    fresh.egress_ip = policy->egress_ip;
  }
  /* By another device the stack translates: its conntrack sees the answers wherever they come in. */
  if (device_of(skb, fresh.egress_ip, packet.tuple.destination, 0) != uplink_ifindex)
    return leave(EGW_HOOK_FROM_CLIENT, EGW_STACK_NO_ROUTE);
  if (!nat) {
    if (!is_local(skb, fresh.egress_ip)) return leave(EGW_HOOK_FROM_CLIENT, EGW_DROP_NO_EGRESS_IP);
    struct bpf_tunnel_key key = {};
    if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) return leave(EGW_HOOK_FROM_CLIENT, EGW_DROP_NOT_ADMITTED);
    fresh.client = bpf_htonl(key.remote_ipv4);
    if (bpf_skb_load_bytes(skb, ETH_ALEN, fresh.client_mac.bytes, ETH_ALEN)) return leave(EGW_HOOK_FROM_CLIENT, EGW_DROP_SHORT);
    note_out(&fresh, &packet);
    if (!take_port(&tuple, &fresh, &verdict)) return leave(EGW_HOOK_FROM_CLIENT, verdict);
  }
  if (!is_whole) {
    /* The stack keeps a connection's own port, so it comes to the same one where that is the own one. */
    if (fresh.port == tuple.source_port) set_mark(skb, EGW_MARK_OWN_PORT);
    return leave(EGW_HOOK_FROM_CLIENT, verdict);
  }
  if (!take_hop(skb)) return leave(EGW_HOOK_FROM_CLIENT, EGW_STACK_TTL);
  bool is_done = packet.is_error ? translate_error(skb, &packet, SOURCE, fresh.egress_ip, fresh.port)
                                 : translate(skb, &tuple, SOURCE, fresh.egress_ip, fresh.port);
  if (!is_done) return leave(EGW_HOOK_FROM_CLIENT, EGW_DROP_SHORT);
  /* Answers come by the tunnel too. */
  if (tuple.protocol == IPPROTO_TCP && packet.is_syn) clamp_segments(skb, tunnel_mtu - 40);
  set_mark(skb, EGW_MARK_DONE);
  count(EGW_HOOK_FROM_CLIENT, EGW_TO_OUTSIDE);
  return bpf_redirect_neigh(uplink_ifindex, NULL, 0, 0);
}

/* Ingress of the tunnel device. */
SEC("tc")
int from_client(struct __sk_buff *skb) {
  return leave_by_egress_ip(skb);
}

/* Ingress of the uplink. */
SEC("tc")
int from_outside(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  bool is_whole = parse(skb, &packet, &verdict);
  if (!is_whole && !packet.has_ports) return leave(EGW_HOOK_FROM_OUTSIDE, verdict);
  struct egw_tuple answer = packet.is_error ? answer_to(&packet.quoted) : packet.tuple, tuple;
  struct egw_nat *nat = owner_of(&answer, &tuple);
  if (!nat) return leave(EGW_HOOK_FROM_OUTSIDE, is_whole ? EGW_STACK_UNKNOWN_FLOW : verdict);
  if (!packet.is_error) note_in(nat, &packet);
  if (!nat->client) {
    /* The stack knows it by the port that it gave. */
    if (tuple.source_port != answer.destination_port && (is_whole || verdict == EGW_STACK_FRAGMENT)) {
      bool is_done = packet.is_error ? translate_error(skb, &packet, DESTINATION, tuple.source, tuple.source_port)
                                     : translate(skb, &packet.tuple, DESTINATION, tuple.source, tuple.source_port);
      if (!is_done) return leave(EGW_HOOK_FROM_OUTSIDE, EGW_DROP_SHORT);
    }
    return leave(EGW_HOOK_FROM_OUTSIDE, is_whole ? EGW_STACK_UNKNOWN_FLOW : verdict);
  }
  if (!is_whole) return leave(EGW_HOOK_FROM_OUTSIDE, verdict);
  /* What is too long is sent in fragments of the outer packet: the stack knows nothing of this connection. */
  if (!take_hop(skb)) return leave(EGW_HOOK_FROM_OUTSIDE, EGW_STACK_TTL);
  struct egw_mac own = tunnel_mac, client = nat->client_mac;
  struct bpf_tunnel_key key = {.tunnel_id = tunnel_vni, .remote_ipv4 = bpf_ntohl(nat->client), .tunnel_ttl = 64};
  bool is_done = packet.is_error ? translate_error(skb, &packet, DESTINATION, tuple.source, tuple.source_port)
                                 : translate(skb, &packet.tuple, DESTINATION, tuple.source, tuple.source_port);
  if (!is_done || bpf_skb_store_bytes(skb, 0, client.bytes, ETH_ALEN, 0) ||
      bpf_skb_store_bytes(skb, ETH_ALEN, own.bytes, ETH_ALEN, 0) ||
      bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX))
    return leave(EGW_HOOK_FROM_OUTSIDE, EGW_DROP_SHORT);
  set_mark(skb, EGW_MARK_DONE);
  count(EGW_HOOK_FROM_OUTSIDE, EGW_TO_TUNNEL);
  return bpf_redirect(tunnel_ifindex, 0);
}

/* Egress of the uplink: what the stack has translated to an egress IP never leaves by a port of a pod's connection. */
SEC("tc")
int to_outside(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (is_marked(skb, EGW_MARK_DONE)) return TC_ACT_UNSPEC;
  bool is_whole = parse(skb, &packet, &verdict);
  if (!bpf_map_lookup_elem(&egw_egress_ips, &packet.tuple.source)) return leave(EGW_HOOK_TO_OUTSIDE, EGW_NOT_SELECTED);
  /* An error, a later fragment, another protocol: nothing that has a port. */
  if (!packet.has_ports) return leave(EGW_HOOK_TO_OUTSIDE, is_whole ? EGW_TO_OUTSIDE : verdict);
  bool has_options = !is_whole && verdict != EGW_STACK_FRAGMENT;
  __be16 port;
  if (!port_of_stack(&packet, is_marked(skb, EGW_MARK_OWN_PORT), &port, &verdict)) return leave(EGW_HOOK_TO_OUTSIDE, verdict);
  if (port != packet.tuple.source_port) {
    if (has_options) return leave(EGW_HOOK_TO_OUTSIDE, EGW_DROP_PORT_TAKEN);
    if (!translate(skb, &packet.tuple, SOURCE, packet.tuple.source, port)) return leave(EGW_HOOK_TO_OUTSIDE, EGW_DROP_SHORT);
  }
  return leave(EGW_HOOK_TO_OUTSIDE, EGW_TO_OUTSIDE);
}

char _license[] SEC("license") = "Dual MIT/GPL";
