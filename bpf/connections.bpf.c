/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/*
 * Around a gateway pod, on the nodes: which connections its packets belong to, as seed 000 has them, and marks of what the
 * stack would take for wrong. Decides on no way; what is not dropped goes to the filters behind it.
 */
#include <linux/bpf.h>

#include "connections.h"
#include "route.h"

static __always_inline bool is_gateway_pod(__be32 address) {
  return bpf_map_lookup_elem(&egw_pods, &address);
}

/* The gateway pod by which a pod asks an address outside; 0 = none. */
static __always_inline __be32 gateway_of(__be32 pod, __be32 outside) {
  const struct egw_policy *policy = policy_of(pod, outside);
  return policy && is_gateway_pod(policy->gateway) ? policy->gateway : 0;
}

static __always_inline bool is_tunnel(const struct egw_tuple *tuple) {
  return tunnel_port && tuple->protocol == IPPROTO_UDP && tuple->destination_port == tunnel_port;
}

/* Between a node and a gateway pod, or the other way round. By which of its addresses the node asks follows from its routes. */
static __always_inline bool is_tunnel_of_pod(const struct egw_tuple *tuple) {
  return is_tunnel(tuple) && (is_gateway_pod(tuple->destination) || is_gateway_pod(tuple->source));
}

/* Whether a pod's packet comes by the device by which the pod is routed. */
static __always_inline bool is_by_its_device(struct __sk_buff *skb, const struct egw_tuple *tuple) {
  return device_of(skb, tuple->destination, tuple->source, BPF_FIB_LOOKUP_DIRECT) == skb->ifindex;
}

/* seed: client-E */
static __always_inline int from_client_pod(struct __sk_buff *skb, struct passage *passage) {
  const struct egw_tuple *tuple = &passage->tuple;
  struct egw_connection *known = is_kind(passage, EGW_CT_A) && !passage->is_answer ? passage->connection : NULL;
  if (passage->packet.is_later) return leave(passage->hook, EGW_STACK_FRAGMENT);
  /* A SYN by the ports of another connection is asked anew where it may go. */
  bool is_syn = tuple->protocol == IPPROTO_TCP && passage->is_first;
  __be32 gateway = known && !is_syn ? known->gateway : gateway_of(tuple->source, tuple->destination);
  if (!gateway) {
    if (known) bpf_map_delete_elem(&egw_connections, &passage->key);
    return leave(passage->hook, EGW_NOT_SELECTED);
  }
  if (!known && !passage->is_first) return leave(passage->hook, EGW_STACK_MID_FLOW);
  if ((!known || known->ifindex != skb->ifindex) && !is_by_its_device(skb, tuple))
    return leave(passage->hook, EGW_STACK_OTHER_DEVICE);
  if (!known) return begin(skb, passage, EGW_CT_A, gateway, EGW_SIDE_SOURCE);
  known->gateway = gateway;
  /* Also where an answer was seen before. */
  known->ifindex = skb->ifindex;
  known->begun = EGRESS_CLIENT;
  return hit(skb, passage);
}

/*
 * An answer that a gateway pod hands on: its source is an address outside. [3] What it answers was begun on this node, whose
 * conntrack knows it; else [2] by a client on another node, and all that this node has seen of it goes this way.
 */
static __always_inline int from_gateway_pod_to_client(struct __sk_buff *skb, struct passage *passage, bool is_own) {
  const struct packet *packet = &passage->packet;
  struct egw_connection *known = is_kind(passage, EGW_CT_A) && passage->is_answer ? passage->connection : NULL;
  bool is_allowed = packet->tuple.destination == passage->tuple.destination &&
                    ((known && known->gateway == workload_address) ||
                     gateway_of(passage->tuple.destination, passage->tuple.source) == workload_address);
  /* With its own source it may send whatever it likes. */
  if (!is_allowed) return leave(passage->hook, is_own ? EGW_STACK_UNKNOWN_FLOW : EGW_DROP_OTHER_SOURCE);
  set_mark(skb, known && known->begun == EGRESS_CLIENT ? EGW_MARK_SKIP_RPF : EGW_MARK_UNTRACKED);
  if (packet->is_piece && !packet->is_later) note_piece(packet, &passage->key);
  if (known) {
    known->gateway = workload_address;
    return hit(skb, passage);
  }
  if (packet->is_error || packet->is_later) return leave(passage->hook, EGW_STACK_UNKNOWN_FLOW);
  return create(skb, passage, EGW_CT_A, workload_address, EGW_SIDE_SOURCE | EGW_SIDE_DESTINATION);
}

/* seed: gateway-E */
static __always_inline int from_gateway_pod(struct __sk_buff *skb, struct passage *passage) {
  bool is_own = passage->packet.tuple.source == workload_address;
  if (!is_own || is_kind(passage, EGW_CT_A)) return from_gateway_pod_to_client(skb, passage, is_own);
  if (passage->connection) return hit(skb, passage);
  if (passage->packet.is_error) return from_gateway_pod_to_client(skb, passage, is_own);
  if (!passage->is_first) return leave(passage->hook, EGW_STACK_MID_FLOW);
  return begin(skb, passage, is_tunnel(&passage->tuple) ? EGW_CT_B : EGW_CT_C, 0, EGW_SIDE_SOURCE);
}

/* A later fragment whose first one nobody has seen: by its addresses alone. */
static __always_inline int from_gateway_pod_in_pieces(struct __sk_buff *skb, const struct egw_tuple *tuple) {
  if (tuple->source != workload_address) {
    if (gateway_of(tuple->destination, tuple->source) != workload_address)
      return leave(EGW_HOOK_FROM_WORKLOAD, EGW_DROP_OTHER_SOURCE);
    set_mark(skb, EGW_MARK_SKIP_RPF);
  }
  return leave(EGW_HOOK_FROM_WORKLOAD, EGW_STACK_FRAGMENT);
}

/* Ingress of a pod's device. */
SEC("tc/from_workload")
int from_workload(struct __sk_buff *skb) {
  struct passage passage;
  enum egw_verdict verdict;
  refuse_both();
  if (meet(skb, EGW_HOOK_FROM_WORKLOAD, &passage, &verdict)) {
    if (egress_flags & EGRESS_CLIENT) return from_client_pod(skb, &passage);
    if (egress_flags & EGRESS_GATEWAY) return from_gateway_pod(skb, &passage);
    return leave(EGW_HOOK_FROM_WORKLOAD, EGW_NOT_SELECTED);
  }
  if (passage.packet.is_later && egress_flags & EGRESS_GATEWAY) return from_gateway_pod_in_pieces(skb, &passage.packet.tuple);
  return leave(EGW_HOOK_FROM_WORKLOAD, verdict);
}

/* Egress of a pod's device (seed: client-I, gateway-I). */
SEC("tc/to_workload")
int to_workload(struct __sk_buff *skb) {
  struct passage passage;
  enum egw_verdict verdict;
  refuse_both();
  if (!meet(skb, EGW_HOOK_TO_WORKLOAD, &passage, &verdict)) return leave(EGW_HOOK_TO_WORKLOAD, verdict);
  if (egress_flags & EGRESS_CLIENT && is_kind(&passage, EGW_CT_A) && passage.is_answer) return hit(skb, &passage);
  if (egress_flags & EGRESS_GATEWAY && passage.packet.tuple.destination == workload_address) {
    if (is_kind(&passage, EGW_CT_B) || is_kind(&passage, EGW_CT_C)) return hit(skb, &passage);
    if (is_tunnel(&passage.tuple)) return begin(skb, &passage, EGW_CT_B, 0, EGW_SIDE_DESTINATION);
    return leave(EGW_HOOK_TO_WORKLOAD, EGW_STACK_UNKNOWN_FLOW);
  }
  return leave(EGW_HOOK_TO_WORKLOAD, EGW_NOT_SELECTED);
}

/*
 * [4] An answer on the node of the client that asked: whether its source would be routed by another device is no matter, since
 * it comes from a gateway pod.
 */
static __always_inline int answer_from_network(struct __sk_buff *skb, struct passage *passage) {
  const struct packet *packet = &passage->packet;
  if (device_of(skb, packet->tuple.destination, packet->tuple.source, 0) != skb->ifindex) set_mark(skb, EGW_MARK_SKIP_RPF);
  if (packet->is_piece && !packet->is_later) note_piece(packet, &passage->key);
  return hit(skb, passage);
}

/* Ingress of the uplink, or of a device by which nodes reach each other's pods (seed: eth0/tunl-I). */
SEC("tc/from_network")
int from_network(struct __sk_buff *skb) {
  struct passage passage;
  enum egw_verdict verdict;
  refuse_both();
  if (!meet(skb, EGW_HOOK_FROM_NETWORK, &passage, &verdict)) return leave(EGW_HOOK_FROM_NETWORK, verdict);
  if (is_kind(&passage, EGW_CT_A)) {
    if (passage.is_answer && passage.connection->begun == EGRESS_CLIENT) return answer_from_network(skb, &passage);
    return leave(EGW_HOOK_FROM_NETWORK, EGW_NOT_SELECTED);
  }
  if (passage.connection) return hit(skb, &passage);
  if (is_tunnel_of_pod(&passage.tuple)) return begin(skb, &passage, EGW_CT_B, 0, EGW_SIDE_SOURCE);
  return leave(EGW_HOOK_FROM_NETWORK, EGW_NOT_SELECTED);
}

/* Egress of them (seed: eth0/tunl-E). */
SEC("tc/to_network")
int to_network(struct __sk_buff *skb) {
  struct passage passage;
  enum egw_verdict verdict;
  refuse_both();
  /* What was said for the node's stack is said: rules for marks are for what is encapsulated too. */
  if (is_marked(skb, EGW_MARK_SKIP_RPF) || is_marked(skb, EGW_MARK_UNTRACKED)) set_mark(skb, 0);
  if (!meet(skb, EGW_HOOK_TO_NETWORK, &passage, &verdict)) return leave(EGW_HOOK_TO_NETWORK, verdict);
  if (is_kind(&passage, EGW_CT_A)) {
    if (passage.is_answer && passage.connection->begun == EGRESS_GATEWAY) return hit(skb, &passage);
    return leave(EGW_HOOK_TO_NETWORK, EGW_NOT_SELECTED);
  }
  if (passage.connection) return hit(skb, &passage);
  if (is_tunnel_of_pod(&passage.tuple)) return begin(skb, &passage, EGW_CT_B, 0, EGW_SIDE_DESTINATION);
  return leave(EGW_HOOK_TO_NETWORK, EGW_NOT_SELECTED);
}

char _license[] SEC("license") = "Dual MIT/GPL";
