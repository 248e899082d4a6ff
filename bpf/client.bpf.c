/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* On a client node: what selected pods send goes into the tunnel, and its answers to the pods, past the stack. */
#include <linux/bpf.h>

#include "maps.h"
#include "rewrite.h"

/* Put into the object for each attachment. */
volatile const __u32 tunnel_ifindex = 0;
volatile const __u32 tunnel_mtu = 1450;
volatile const __u32 tunnel_vni = 4097;
volatile const struct egw_mac tunnel_mac = {};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __type(key, struct egw_tuple);
  __type(value, struct egw_flow);
} egw_flows SEC(".maps");

/* Underlay address of a gateway node -> its tunnel device. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __be32);
  __type(value, struct egw_mac);
} egw_peers SEC(".maps");

/* The other way round. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, struct egw_mac);
  __type(value, __be32);
} egw_underlays SEC(".maps");

static __always_inline void remember(const struct egw_tuple *tuple, enum egw_flow_kind kind, __be32 gateway) {
  struct egw_flow flow = {.seen = bpf_ktime_get_boot_ns(), .gateway = gateway, .kind = kind};
  bpf_map_update_elem(&egw_flows, tuple, &flow, BPF_ANY);
}

static __always_inline int into_tunnel(struct __sk_buff *skb, __be32 gateway) {
  const struct egw_mac *peer = bpf_map_lookup_elem(&egw_peers, &gateway);
  if (!peer) return leave(EGW_FROM_POD, EGW_DROP_NO_GATEWAY);
  if (is_longer(skb, tunnel_mtu)) return leave(EGW_FROM_POD, EGW_STACK_TOO_BIG);
  if (!take_hop(skb)) return leave(EGW_FROM_POD, EGW_STACK_TTL);
  struct egw_mac own = tunnel_mac;
  struct bpf_tunnel_key key = {.tunnel_id = tunnel_vni, .remote_ipv4 = bpf_ntohl(gateway), .tunnel_ttl = 64};
  if (bpf_skb_store_bytes(skb, 0, peer->bytes, ETH_ALEN, 0) ||
      bpf_skb_store_bytes(skb, ETH_ALEN, own.bytes, ETH_ALEN, 0) ||
      bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX))
    return leave(EGW_FROM_POD, EGW_DROP_SHORT);
  count(EGW_FROM_POD, EGW_TO_TUNNEL);
  return bpf_redirect(tunnel_ifindex, 0);
}

/* Ingress of the device by which a pod is routed. */
SEC("tc")
int from_pod(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (!parse(skb, &packet, &verdict)) return leave(EGW_FROM_POD, verdict);
  /* An error that a pod sends is about an answer that it got. */
  struct egw_tuple tuple = packet.is_error ? answer_to(&packet.quoted) : packet.tuple;
  const struct egw_policy *policy = policy_of(tuple.source, tuple.destination);
  struct egw_flow *flow = bpf_map_lookup_elem(&egw_flows, &tuple);
  if (flow && flow->kind == EGW_FLOW_ANSWER) return leave(EGW_FROM_POD, EGW_ANSWER);
  if (flow) {
    if (!policy || policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return leave(EGW_FROM_POD, EGW_DROP_CUT);
    flow->seen = bpf_ktime_get_boot_ns();
    return into_tunnel(skb, flow->gateway);
  }
  if (!policy) return leave(EGW_FROM_POD, EGW_NOT_SELECTED);
  if (policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return leave(EGW_FROM_POD, EGW_EXCLUDED);
  if (!packet.is_first) return leave(EGW_FROM_POD, EGW_STACK_MID_FLOW);
  if (policy->gateway == bpf_htonl(EGW_GATEWAY_NONE)) return leave(EGW_FROM_POD, EGW_DROP_NO_GATEWAY);
  /* Only a SYN tells that it begins something; of all else the stack knows, and `to_tunnel` learns it. */
  if (tuple.protocol != IPPROTO_TCP) return leave(EGW_FROM_POD, EGW_STACK_UNKNOWN_FLOW);
  remember(&tuple, EGW_FLOW_EGRESS, policy->gateway);
  return into_tunnel(skb, policy->gateway);
}

/* Egress of the device by which a pod is routed: who calls a pod is answered by it. */
SEC("tc")
int to_pod(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (!parse(skb, &packet, &verdict) || packet.is_error || !packet.is_first) return TC_ACT_OK;
  struct egw_tuple tuple = answer_to(&packet.tuple);
  const struct egw_policy *policy = policy_of(tuple.source, tuple.destination);
  if (!policy || bpf_map_lookup_elem(&egw_flows, &tuple)) return TC_ACT_OK;
  remember(&tuple, EGW_FLOW_ANSWER, 0);
  return TC_ACT_OK;
}

/* Egress of the tunnel device: what the stack has chosen is chosen here too. */
SEC("tc")
int to_tunnel(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (!parse(skb, &packet, &verdict) || packet.is_error) return TC_ACT_OK;
  if (bpf_map_lookup_elem(&egw_flows, &packet.tuple)) return TC_ACT_OK;
  const struct egw_policy *policy = policy_of(packet.tuple.source, packet.tuple.destination);
  if (!policy || policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return TC_ACT_OK;
  struct egw_mac mac = {};
  if (bpf_skb_load_bytes(skb, 0, mac.bytes, ETH_ALEN)) return TC_ACT_OK;
  const __be32 *gateway = bpf_map_lookup_elem(&egw_underlays, &mac);
  if (gateway) remember(&packet.tuple, EGW_FLOW_EGRESS, *gateway);
  return TC_ACT_OK;
}

/* Ingress of the tunnel device: answers go to the pod that asked. */
SEC("tc")
int from_gateway(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (!parse(skb, &packet, &verdict)) return leave(EGW_FROM_GATEWAY, verdict);
  struct egw_tuple tuple = packet.is_error ? packet.quoted : answer_to(&packet.tuple);
  const struct egw_flow *flow = bpf_map_lookup_elem(&egw_flows, &tuple);
  if (!flow || flow->kind != EGW_FLOW_EGRESS) return leave(EGW_FROM_GATEWAY, EGW_STACK_UNKNOWN_FLOW);
  struct bpf_tunnel_key key = {};
  if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) || bpf_htonl(key.remote_ipv4) != flow->gateway)
    return leave(EGW_FROM_GATEWAY, EGW_DROP_NOT_ADMITTED);
  struct bpf_fib_lookup route = {
      .family = 2, /* AF_INET */
      .ipv4_src = tuple.destination,
      .ipv4_dst = tuple.source,
      .ifindex = skb->ifindex,
  };
  long found = bpf_fib_lookup(skb, &route, sizeof(route), BPF_FIB_LOOKUP_DIRECT);
  if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) return leave(EGW_FROM_GATEWAY, EGW_STACK_NO_ROUTE);
  if (!take_hop(skb)) return leave(EGW_FROM_GATEWAY, EGW_STACK_TTL);
  if (packet.tuple.protocol == IPPROTO_TCP && packet.is_syn) clamp_segments(skb, tunnel_mtu - 40);
  count(EGW_FROM_GATEWAY, EGW_TO_POD);
  return bpf_redirect_neigh(route.ifindex, NULL, 0, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
