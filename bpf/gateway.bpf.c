/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* On a gateway node: what comes out of the tunnel leaves with its egress IP, and answers go back the way that it came. */
#include <linux/bpf.h>

#include "maps.h"
#include "rewrite.h"

/* Put into the object for each attachment. */
volatile const __u32 tunnel_ifindex = 0;
volatile const __u32 tunnel_mtu = 1450;
volatile const __u32 tunnel_vni = 4097;
volatile const struct egw_mac tunnel_mac = {};
/* Ports that may be given to a connection whose own one is taken, in host byte order. */
volatile const __u16 first_port = 32768;
volatile const __u16 last_port = 65535;

/* So often another port is tried where one is taken, counting up. */
#define TRIES 16

#define SECOND 1000000000ULL

/* Egress IPs that are on this node -> the device of each. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, __be32);
  __type(value, __u32);
} egw_addresses SEC(".maps");

/* As a pod sends it -> its translation. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __type(key, struct egw_tuple);
  __type(value, struct egw_nat);
} egw_nat_out SEC(".maps");

/* As its answers come in -> as the pod sends it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __type(key, struct egw_tuple);
  __type(value, struct egw_tuple);
} egw_nat_in SEC(".maps");

/* How long a translation without packets is kept; the kernel's defaults (nf_conntrack-sysctl). */
static __always_inline __u64 lifetime(__u8 protocol, __u8 state) {
  if (protocol == IPPROTO_ICMP) return 30 * SECOND;
  if (protocol == IPPROTO_UDP) return state & EGW_NAT_ANSWERED ? 120 * SECOND : 30 * SECOND;
  if (state & EGW_NAT_RESET) return 10 * SECOND;
  if (state & (EGW_NAT_FIN_OUT | EGW_NAT_FIN_IN)) return 120 * SECOND;
  return state & EGW_NAT_ANSWERED ? 432000 * SECOND : 120 * SECOND;
}

/* Another CPU may have seen a packet after this one has read the clock. */
static __always_inline bool is_alive(const struct egw_tuple *tuple, const struct egw_nat *nat) {
  __s64 silent = bpf_ktime_get_boot_ns() - nat->seen;
  return silent < (__s64)lifetime(tuple->protocol, nat->state);
}

/* The answers to a tuple once it is translated. */
static __always_inline struct egw_tuple incoming(const struct egw_tuple *tuple, __be32 egress_ip, __be16 port) {
  struct egw_tuple answer = answer_to(tuple);
  answer.destination = egress_ip;
  answer.destination_port = port;
  return answer;
}

/* Whether a port is free: nobody has it, or who had it is long silent. */
static __always_inline bool is_free(const struct egw_tuple *answer) {
  const struct egw_tuple *owner = bpf_map_lookup_elem(&egw_nat_in, answer);
  if (!owner) return true;
  struct egw_tuple other = *owner;
  const struct egw_nat *nat = bpf_map_lookup_elem(&egw_nat_out, &other);
  return !nat || !is_alive(&other, nat);
}

static __always_inline __be16 in_range(__u32 port) {
  __u32 size = last_port - first_port + 1;
  return bpf_htons(first_port + port % size);
}

/*
 * Takes a port for a new connection and writes both entries: its own one where that is free, else a random one and those
 * after it (seed: snat_v4_new_mapping). False with the verdict where there is none.
 */
static __always_inline bool take_port(const struct egw_tuple *tuple, struct egw_nat *nat, enum egw_verdict *verdict) {
  __u32 random = bpf_get_prandom_u32() & 0xffff;
  nat->port = tuple->source_port;
  for (__u32 i = 0; i < TRIES; i++) {
    struct egw_tuple answer = incoming(tuple, nat->egress_ip, nat->port);
    if (is_free(&answer)) {
      struct egw_tuple forward = *tuple;
      if (bpf_map_update_elem(&egw_nat_in, &answer, &forward, BPF_ANY) ||
          bpf_map_update_elem(&egw_nat_out, &forward, nat, BPF_ANY)) {
        bpf_map_delete_elem(&egw_nat_in, &answer);
        return *verdict = EGW_DROP_MAP_FULL, false;
      }
      return true;
    }
    nat->port = in_range(random + i);
  }
  return *verdict = EGW_DROP_NO_PORT, false;
}

/* Sends a packet on by the node's routes. */
static __always_inline int to_outside(struct __sk_buff *skb, __be32 source, __be32 destination) {
  struct bpf_fib_lookup route = {
      .family = 2, /* AF_INET */
      .ipv4_src = source,
      .ipv4_dst = destination,
      .ifindex = skb->ifindex,
  };
  long found = bpf_fib_lookup(skb, &route, sizeof(route), 0);
  if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) return leave(EGW_FROM_CLIENT, EGW_DROP_NO_ROUTE);
  count(EGW_FROM_CLIENT, EGW_TO_OUTSIDE);
  return bpf_redirect_neigh(route.ifindex, NULL, 0, 0);
}

static __always_inline int leave_by_egress_ip(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict;
  if (!parse(skb, &packet, &verdict)) return leave(EGW_FROM_CLIENT, verdict);
  struct egw_tuple tuple = packet.is_error ? answer_to(&packet.quoted) : packet.tuple;
  struct egw_nat *nat = bpf_map_lookup_elem(&egw_nat_out, &tuple);
  struct egw_nat fresh = {};
  __u64 now = bpf_ktime_get_boot_ns();
  if (!nat || !is_alive(&tuple, nat)) {
    const struct egw_policy *policy = policy_of(tuple.source, tuple.destination);
    /* Answers to pods of this node, and what another gateway is for. */
    if (!policy || policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return leave(EGW_FROM_CLIENT, EGW_NOT_SELECTED);
    if (packet.is_error || !packet.is_first) return leave(EGW_FROM_CLIENT, EGW_STACK_MID_FLOW);
    fresh.egress_ip = policy->egress_ip;
    if (!bpf_map_lookup_elem(&egw_addresses, &fresh.egress_ip)) return leave(EGW_FROM_CLIENT, EGW_DROP_NO_EGRESS_IP);
    struct bpf_tunnel_key key = {};
    if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0)) return leave(EGW_FROM_CLIENT, EGW_DROP_NOT_ADMITTED);
    fresh.seen = now;
    fresh.client = bpf_htonl(key.remote_ipv4);
    if (bpf_skb_load_bytes(skb, ETH_ALEN, fresh.client_mac.bytes, ETH_ALEN)) return leave(EGW_FROM_CLIENT, EGW_DROP_SHORT);
    if (!take_port(&tuple, &fresh, &verdict)) return leave(EGW_FROM_CLIENT, verdict);
  } else {
    nat->seen = now;
    if (packet.is_fin) nat->state |= EGW_NAT_FIN_OUT;
    if (packet.is_reset) nat->state |= EGW_NAT_RESET;
    fresh.egress_ip = nat->egress_ip;
    fresh.port = nat->port;
  }
  if (!take_hop(skb)) return leave(EGW_FROM_CLIENT, EGW_STACK_TTL);
  bool is_done = packet.is_error ? translate_error(skb, &packet, SOURCE, fresh.egress_ip, fresh.port)
                                 : translate(skb, &tuple, SOURCE, fresh.egress_ip, fresh.port);
  if (!is_done) return leave(EGW_FROM_CLIENT, EGW_DROP_SHORT);
  /* Answers come by the tunnel too. */
  if (tuple.protocol == IPPROTO_TCP && packet.is_syn) clamp_segments(skb, tunnel_mtu - 40);
  return to_outside(skb, fresh.egress_ip, packet.tuple.destination);
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
  if (!parse(skb, &packet, &verdict)) return leave(EGW_FROM_OUTSIDE, verdict);
  struct egw_tuple answer = packet.is_error ? answer_to(&packet.quoted) : packet.tuple;
  const struct egw_tuple *forward = bpf_map_lookup_elem(&egw_nat_in, &answer);
  if (!forward) return leave(EGW_FROM_OUTSIDE, EGW_STACK_UNKNOWN_FLOW);
  struct egw_tuple tuple = *forward;
  struct egw_nat *nat = bpf_map_lookup_elem(&egw_nat_out, &tuple);
  if (!nat || !is_alive(&tuple, nat)) return leave(EGW_FROM_OUTSIDE, EGW_STACK_UNKNOWN_FLOW);
  /* What is too long is sent in fragments of the outer packet: the stack knows nothing of this connection. */
  if (!take_hop(skb)) return leave(EGW_FROM_OUTSIDE, EGW_STACK_TTL);
  if (!packet.is_error) {
    nat->seen = bpf_ktime_get_boot_ns();
    nat->state |= EGW_NAT_ANSWERED | (packet.is_fin ? EGW_NAT_FIN_IN : 0) | (packet.is_reset ? EGW_NAT_RESET : 0);
  }
  struct egw_mac own = tunnel_mac, client = nat->client_mac;
  struct bpf_tunnel_key key = {.tunnel_id = tunnel_vni, .remote_ipv4 = bpf_ntohl(nat->client), .tunnel_ttl = 64};
  bool is_done = packet.is_error ? translate_error(skb, &packet, DESTINATION, tuple.source, tuple.source_port)
                                 : translate(skb, &packet.tuple, DESTINATION, tuple.source, tuple.source_port);
  if (!is_done || bpf_skb_store_bytes(skb, 0, client.bytes, ETH_ALEN, 0) ||
      bpf_skb_store_bytes(skb, ETH_ALEN, own.bytes, ETH_ALEN, 0) ||
      bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX))
    return leave(EGW_FROM_OUTSIDE, EGW_DROP_SHORT);
  count(EGW_FROM_OUTSIDE, EGW_TO_TUNNEL);
  return bpf_redirect(tunnel_ifindex, 0);
}

char _license[] SEC("license") = "Dual MIT/GPL";
