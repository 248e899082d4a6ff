/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* On a client node: connections of pods that the stack has sent to a gateway go past it from then on, both ways. */
#include <linux/bpf.h>

#include "maps.h"
#include "pieces.h"
#include "rewrite.h"
#include "route.h"
#include "split.h"
#include "time.h"
#include "tunnel.h"
#include "ways.h"

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __uint(key_size, sizeof(struct egw_tuple));
  __uint(value_size, sizeof(struct egw_flow));
} egw_flows SEC(".maps");

/* By the same tuple. Apart, since the stack has yet to say what of it begins: answers to callers from outside must not take the place of flows. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(struct egw_tuple));
  __uint(value_size, sizeof(struct egw_opening));
} egw_openings SEC(".maps");

/* Underlay address of a gateway node -> its tunnel device. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(struct egw_mac));
} egw_peers SEC(".maps");

/* The other way round. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(struct egw_mac));
  __uint(value_size, sizeof(__be32));
} egw_underlays SEC(".maps");

/*
 * A flow must not outlive the gateway node's translation: what has none there is the policy's again, which may have another gateway
 * by now. There a packet counts at most a second late, here never early, if none is lost between. So here a flow goes on
 * (EGW_NAT_LASTING) after half a second more, and is none three seconds before (two, and the one by which that lives longer).
 */
#define LATE (SECOND + SECOND / 2)
#define MARGIN 2

/*
 * The flow of a tuple. One of datagrams that was silent for as long as conntrack remembers them is none: what follows begins
 * anew, and that is the stack's to decide. A TCP connection begins with a SYN, which is the stack's always.
 */
static __always_inline struct egw_flow *flow_of(const struct egw_tuple *tuple, __u64 *now) {
  struct egw_flow *flow = bpf_map_lookup_elem(&egw_flows, tuple);
  if (!flow || !flow->gateway) return NULL;
  *now = bpf_ktime_get_boot_ns();
  if (tuple->protocol == IPPROTO_TCP) return flow;
  return is_silent(flow->seen, lifetime(tuple->protocol, flow->state) - MARGIN, *now) ? NULL : flow;
}

static __always_inline bool is_tcp_syn(const struct packet *packet) {
  return packet->tuple.protocol == IPPROTO_TCP && packet->is_first;
}

/*
 * Notes a packet of a flow, from the pod or (`end` = EGW_NAT_FIN_IN) to it. Which ends a connection has come to is for who takes it over.
 * Anybody outside can say that it is reset: where its pod goes on, it is not.
 */
static __always_inline void note(struct egw_flow *flow, const struct packet *packet, __u8 end, __u64 now) {
  /* The gateway node counts none of them, whoever has sent it. */
  if (packet->is_error) return;
  __u8 state = flow->state;
  bool is_late = silence(flow->seen, now) > (__s64)LATE;
  if (is_late) state |= EGW_NAT_LASTING;
  if (end == EGW_NAT_FIN_IN) state |= EGW_NAT_ANSWERED;
  if (end == EGW_NAT_FIN_OUT && !packet->is_reset) state &= ~EGW_NAT_RESET;
  if (packet->is_fin || packet->is_reset) state |= packet->is_reset ? EGW_NAT_RESET : end;
  if (is_late || state != flow->state) flow->seen = now;
  if (state != flow->state) flow->state = state;
}

/* Whether a packet comes by the device by which its source is routed: else a pod could speak for another one. */
static __always_inline bool is_own_device(struct __sk_buff *skb, const struct egw_tuple *tuple) {
  return device_of(skb, tuple->destination, tuple->source, BPF_FIB_LOOKUP_DIRECT) == skb->ifindex;
}

static __always_inline bool is_by_its_device(struct __sk_buff *skb, struct egw_flow *flow, const struct egw_tuple *tuple) {
  if (flow->ifindex == skb->ifindex) return true;
  if (flow->ifindex != (skb->ifindex | EGW_OPENING) && !is_own_device(skb, tuple)) return false;
  flow->ifindex = skb->ifindex;
  return true;
}

/*
 * Notes by which device a packet comes that may begin a connection. Where the stack sends it to a gateway as it is, the answer can
 * take the short way: the device has a program, which will take what follows.
 */
static __always_inline void note_first(struct __sk_buff *skb, const struct egw_tuple *tuple) {
  struct egw_opening fresh = {.seen = bpf_ktime_get_boot_ns(), .ifindex = skb->ifindex};
  struct egw_opening *noted = bpf_map_lookup_elem(&egw_openings, tuple);
  if (noted && noted->ifindex == fresh.ifindex)
    noted->seen = fresh.seen;
  else if (is_own_device(skb, tuple))
    bpf_map_update_elem(&egw_openings, tuple, &fresh, BPF_ANY);
}

/* The device that was noted for what begins, once, with EGW_OPENING; 0 = none. */
static __always_inline __u32 opened_by(const struct egw_tuple *tuple, __u64 *now) {
  struct egw_opening *noted = bpf_map_lookup_elem(&egw_openings, tuple);
  if (!noted || silence(noted->seen, read_once(now)) >= (__s64)SECOND) return 0;
  noted->seen = 0;
  return noted->ifindex | EGW_OPENING;
}

/*
 * Whether a packet is too long for the tunnel and the stack's, which answers it or makes fragments of it. Of TCP its conntrack has
 * seen the SYN alone; and what policies give another path by now it would send there. These go in outer fragments.
 */
static __always_inline bool is_stacks_to_cut(struct __sk_buff *skb, const struct packet *packet, const struct egw_tuple *tuple,
                                             const struct egw_flow *flow) {
  if (packet->tuple.protocol == IPPROTO_TCP || !is_longer(skb, tunnel_mtu)) return false;
  const struct egw_policy *policy = policy_of(tuple->source, tuple->destination);
  return policy && policy->gateway == flow->gateway;
}

static __always_inline int into_tunnel(struct __sk_buff *skb, const struct packet *packet, const struct egw_tuple *tuple,
                                       struct egw_flow *flow, __u64 now) {
  __be32 gateway = flow->gateway;
  const struct egw_mac *peer = bpf_map_lookup_elem(&egw_peers, &gateway);
  if (!peer) return leave(EGW_HOOK_FROM_POD, EGW_DROP_NO_GATEWAY);
  if (is_stacks_to_cut(skb, packet, tuple, flow)) return leave(EGW_HOOK_FROM_POD, EGW_STACK_TOO_BIG);
  if (!take_hop(skb)) return leave(EGW_HOOK_FROM_POD, EGW_STACK_TTL);
  if (packet->is_piece && !packet->is_later) note_piece(packet, tuple);
  note(flow, packet, EGW_NAT_FIN_OUT, now);
  return send_by_tunnel(skb, packet, EGW_HOOK_FROM_POD, gateway, peer, now);
}

/*
 * A section for each program: a libbpf before 1.0 pins programs by their sections' names. Who loads says that all are classifiers.
 */

/* Ingress of the device by which a pod is routed. */
SEC("tc/from_pod")
int from_pod(struct __sk_buff *skb) {
  struct packet packet;
  struct egw_tuple tuple;
  enum egw_verdict verdict;
  __u64 now = 0;
  bool is_whole = parse(skb, &packet, &verdict);
  forget_piece(&packet);
  if (packet.is_later) {
    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_POD, verdict);
  } else {
    if (!packet.is_carried) return leave(EGW_HOOK_FROM_POD, verdict);
    /* An error that a pod sends is about an answer that it got. */
    tuple = packet.is_error ? answer_to(&packet.quoted) : packet.tuple;
  }
  struct egw_flow *flow = flow_of(&tuple, &now);
  if (flow) {
    if (!is_by_its_device(skb, flow, &tuple)) return leave(EGW_HOOK_FROM_POD, EGW_STACK_OTHER_DEVICE);
    /* What policies say by now is for what begins: who takes a path away takes its flows along. */
    if (!is_tcp_syn(&packet)) return into_tunnel(skb, &packet, &tuple, flow, now);
    /* Another connection by the same ports. */
    bpf_map_delete_elem(&egw_flows, &tuple);
  }
  if (!is_whole) return leave(EGW_HOOK_FROM_POD, verdict);
  const struct egw_policy *policy = policy_of(tuple.source, tuple.destination);
  if (!policy) return leave(EGW_HOOK_FROM_POD, EGW_NOT_SELECTED);
  if (policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return leave(EGW_HOOK_FROM_POD, EGW_EXCLUDED);
  /* But for a SYN it may have been open before its policy: the stack knows, and drops what was not. */
  if (policy->gateway == bpf_htonl(EGW_GATEWAY_NONE))
    return leave(EGW_HOOK_FROM_POD, is_tcp_syn(&packet) ? EGW_DROP_NO_GATEWAY : EGW_STACK_NO_GATEWAY);
  if (policy->gateway == node_address) return leave(EGW_HOOK_FROM_POD, EGW_STACK_OWN_NODE);
  if (!packet.is_first) return leave(EGW_HOOK_FROM_POD, EGW_STACK_MID_FLOW);
  note_first(skb, &tuple);
  return leave(EGW_HOOK_FROM_POD, EGW_STACK_UNKNOWN_FLOW);
}

/* To which gateway the stack sends a packet, if that is a policy's to say. */
static __always_inline enum egw_verdict learn(struct __sk_buff *skb) {
  struct packet packet;
  enum egw_verdict verdict = EGW_STACK_PROTOCOL;
  bool is_whole = parse(skb, &packet, &verdict);
  if (!packet.has_ports || !packet.is_carried) return verdict;
  struct egw_mac mac = {};
  if (bpf_skb_load_bytes(skb, 0, mac.bytes, ETH_ALEN)) return EGW_DROP_SHORT;
  const __be32 *gateway = bpf_map_lookup_elem(&egw_underlays, &mac);
  __u64 now = 0;
  struct egw_flow *known = flow_of(&packet.tuple, &now);
  /*
   * A program would have taken it, but for what comes right behind what begins: it has come by a device that has none, as another
   * pod's by the same address may be.
   */
  if (is_whole && known) {
    bool is_opening = known->ifindex & EGW_OPENING && silence(known->seen, now) < (__s64)SECOND;
    if (known->ifindex && !is_opening) known->ifindex = 0;
    if (is_tcp_syn(&packet) || !gateway || known->gateway != *gateway) {
      bpf_map_delete_elem(&egw_flows, &packet.tuple);
      known = NULL;
    }
  }
  const struct egw_policy *policy = policy_of(packet.tuple.source, packet.tuple.destination);
  if (!policy) return EGW_NOT_SELECTED;
  if (policy->gateway == bpf_htonl(EGW_GATEWAY_EXCLUDED)) return EGW_EXCLUDED;
  if (policy->gateway == node_address) return EGW_STACK_OWN_NODE;
  if (!gateway) return EGW_STACK_NO_GATEWAY;
  if (known && known->gateway == *gateway) return EGW_CONNECTION_HIT;
  struct egw_flow flow = {.seen = read_once(&now), .gateway = *gateway, .ifindex = opened_by(&packet.tuple, &now)};
  bpf_map_update_elem(&egw_flows, &packet.tuple, &flow, BPF_ANY);
  return EGW_CONNECTION_NEW;
}

/* Egress of the tunnel device: what the stack has chosen is chosen here too. */
SEC("tc/to_tunnel")
int to_tunnel(struct __sk_buff *skb) {
  if (!is_marked(skb, EGW_MARK_DONE)) return leave(EGW_HOOK_TO_TUNNEL, learn(skb));
  /* Rules for marks are for what is encapsulated too. */
  set_mark(skb, 0);
  return TC_ACT_UNSPEC;
}

/* The tuple of the flow to which an answer belongs, or an error about what the pod has sent. */
static __always_inline struct egw_tuple tuple_answered(const struct packet *packet) {
  return packet->is_error ? packet->quoted : answer_to(&packet->tuple);
}

/*
 * As long as the stack carries what the pod sends, its conntrack needs the answers too. But what a pod sends behind the answer to its
 * first packet is the program's; of TCP that is a SYN-ACK: what refuses a connection is the end of conntrack's entry.
 */
static __always_inline bool is_stacks(const struct egw_flow *flow, const struct packet *packet) {
  if (!(flow->ifindex & EGW_OPENING)) return !flow->ifindex;
  return packet->is_error || (packet->tuple.protocol == IPPROTO_TCP && (!packet->is_syn || packet->is_reset));
}

/* What every device takes whole is not looked up for that. */
#define SHORT 576

static __always_inline int to_pod(struct __sk_buff *skb, const struct packet *packet, enum egw_hook hook,
                                  struct egw_flow *flow, struct way *way, bool is_whole_there, __u64 now) {
  __u32 ifindex = flow->ifindex & ~EGW_OPENING;
  if (!take_hop(skb)) return leave(hook, EGW_STACK_TTL);
  note(flow, packet, EGW_NAT_FIN_IN, now);
  if (packet->tuple.protocol == IPPROTO_TCP && packet->is_syn) clamp_segments(skb, packet, tunnel_mtu - 40);
  if (!is_whole_there && !send_half(skb, packet->tuple.destination, ifindex)) return leave(hook, EGW_DROP_SHORT);
  count(hook, EGW_TO_POD);
  return send_by(ifindex, way);
}

static __always_inline int answer_pod(struct __sk_buff *skb) {
  struct packet packet;
  struct egw_tuple tuple;
  enum egw_verdict verdict;
  __u64 now = 0;
  /* The tunnel device has left its own one with the packet, which goes with what the kernel finds. */
  struct way way = {};
  bool is_whole = parse(skb, &packet, &verdict);
  forget_piece(&packet);
  if (packet.is_later) {
    if (!find_piece(&packet, &tuple)) return leave(EGW_HOOK_FROM_GATEWAY, verdict);
  } else {
    if (!packet.is_carried) return leave(EGW_HOOK_FROM_GATEWAY, verdict);
    tuple = tuple_answered(&packet);
  }
  struct egw_flow *flow = flow_of(&tuple, &now);
  if (!flow) return leave(EGW_HOOK_FROM_GATEWAY, is_whole ? EGW_STACK_UNKNOWN_FLOW : verdict);
  struct bpf_tunnel_key key = {};
  if (bpf_skb_get_tunnel_key(skb, &key, TUNNEL_KEY, 0) || bpf_htonl(key.remote_ipv4) != flow->gateway)
    return leave(EGW_HOOK_FROM_GATEWAY, EGW_DROP_NOT_ADMITTED);
  if (is_stacks(flow, &packet)) {
    if (packet.tuple.protocol == IPPROTO_TCP && packet.is_syn) clamp_segments(skb, &packet, tunnel_mtu - 40);
    return leave(EGW_HOOK_FROM_GATEWAY, EGW_STACK_ONE_WAY);
  }
  if (packet.is_piece && !packet.is_later) note_piece(&packet, &tuple);
  __u32 length = plain_length(skb);
  bool is_whole_there = length <= SHORT || find_way(skb, 0, packet.tuple.destination, length, length, now, &way);
  way.ifindex = 0;
  return to_pod(skb, &packet, EGW_HOOK_FROM_GATEWAY, flow, &way, is_whole_there, now);
}

/* Ingress of the tunnel device: answers go to the pod that asked. */
SEC("tc/from_gateway")
int from_gateway(struct __sk_buff *skb) {
  return answer_pod(skb);
}

/* Ingress of the underlay's device: the same for what has not come to the tunnel device yet. What it doesn't take goes there. */
SEC("tc/uplink_client")
int uplink_client(struct __sk_buff *skb) {
  struct outer outer;
  struct packet packet;
  if (!peek(skb, &outer, &packet)) return TC_ACT_UNSPEC;
  struct egw_tuple tuple = tuple_answered(&packet);
  __u64 now = 0;
  struct egw_flow *flow = flow_of(&tuple, &now);
  if (!flow || flow->gateway != outer.ip.saddr) return leave(EGW_HOOK_UPLINK_CLIENT, EGW_STACK_UNKNOWN_FLOW);
  if (is_stacks(flow, &packet)) return leave(EGW_HOOK_UPLINK_CLIENT, EGW_STACK_ONE_WAY);
  __u32 length = skb->gso_size ? 0 : plain_length(skb) - OUTER;
  struct way way = {};
  if (!find_way(skb, 0, packet.tuple.destination, length, length, now, &way)) return leave(EGW_HOOK_UPLINK_CLIENT, EGW_STACK_NO_ROUTE);
  if (!decapsulate(skb)) return leave(EGW_HOOK_UPLINK_CLIENT, EGW_STACK_TOO_BIG);
  return to_pod(skb, &packet, EGW_HOOK_UPLINK_CLIENT, flow, &way, true, now);
}

char _license[] SEC("license") = "Dual MIT/GPL";
