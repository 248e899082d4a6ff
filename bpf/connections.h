/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_CONNECTIONS_H
#define EGW_CONNECTIONS_H

#include "maps.h"
#include "packet.h"
#include "pieces.h"
#include "time.h"

/* Put into the object for each attachment. What the device's pod is (enum egw_egress); 0 = a device of the node. */
volatile const __u32 egress_flags = 0;
/* The pod's own address, of a gateway pod. */
volatile const __be32 workload_address = 0;
/* Of the tunnel's UDP. */
volatile const __be16 tunnel_port = 0;
/* Whether each packet of a connection is told in `egw_trace`. */
volatile const __u32 trace = 0;

/* By the tuple of whoever began it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __uint(key_size, sizeof(struct egw_tuple));
  __uint(value_size, sizeof(struct egw_connection));
} egw_connections SEC(".maps");

/* Addresses of the gateway pods -> 1. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(__be32));
  __uint(value_size, sizeof(__u32));
} egw_pods SEC(".maps");

/* Of struct egw_event. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 65536);
} egw_trace SEC(".maps");

/* A packet at a hook, and the connection to which it belongs. */
struct passage {
  struct packet packet;
  /* The way that it goes; an error goes as the packet would that answers the quoted one. */
  struct egw_tuple tuple;
  /* The connection as it began, and what is known of it; NULL = nothing. */
  struct egw_tuple key;
  struct egw_connection *connection;
  enum egw_hook hook;
  bool is_answer;
  /* It may begin a connection. */
  bool is_first;
};

/* A pod that is both would have its own answers for what it asks by itself; the verifier refuses that, as a gateway pod without an address. */
static __always_inline void refuse_both(void) {
  bool is_client = egress_flags & EGRESS_CLIENT, is_gateway = egress_flags & EGRESS_GATEWAY;
  if (is_gateway && (is_client || !workload_address)) *(volatile __u32 *)NULL = 0;
}

static __always_inline struct egw_connection *living(const struct egw_tuple *key) {
  struct egw_connection *connection = bpf_map_lookup_elem(&egw_connections, key);
  return connection && !is_silent(connection->seen, lifetime(key->protocol, connection->state), bpf_ktime_get_boot_ns()) ? connection : NULL;
}

/* Reads a packet and looks its connection up. False, with the verdict, where it has none that could be known. */
static __always_inline bool meet(struct __sk_buff *skb, enum egw_hook hook, struct passage *passage, enum egw_verdict *verdict) {
  struct packet *packet = &passage->packet;
  bool is_whole = parse(skb, packet, verdict);
  passage->hook = hook;
  passage->connection = NULL;
  passage->is_answer = true;
  passage->is_first = false;
  if (!is_whole && *verdict == EGW_NOT_IPV4) return false;
  if (packet->is_later) {
    /* Of the answers alone, which need their marks. */
    if (!find_piece(packet, &passage->key)) return false;
    passage->tuple = answer_to(&passage->key);
    passage->connection = living(&passage->key);
    return true;
  }
  passage->tuple = packet->is_error ? answer_to(&packet->quoted) : packet->tuple;
  /* What has no ports is told apart by its addresses. */
  passage->is_first = packet->is_first || (!is_whole && *verdict == EGW_STACK_PROTOCOL && !packet->is_error &&
                                           packet->tuple.protocol != IPPROTO_TCP);
  passage->key = passage->tuple;
  passage->is_answer = false;
  passage->connection = living(&passage->key);
  if (passage->connection) return true;
  passage->key = answer_to(&passage->tuple);
  passage->is_answer = true;
  passage->connection = living(&passage->key);
  return true;
}

static __always_inline bool is_kind(const struct passage *passage, enum egw_kind kind) {
  return passage->connection && passage->connection->kind == kind;
}

/* Ends a program with what it has found: a connection that was known, or that is from now on. */
static __always_inline int tell(struct __sk_buff *skb, const struct passage *passage, __u8 kind, bool is_created) {
  if (trace) {
    struct egw_event event = {
        .at = bpf_ktime_get_boot_ns(),
        .ifindex = skb->ifindex,
        .hook = passage->hook,
        .kind = kind,
        .is_created = is_created,
        .is_answer = passage->is_answer,
        .tuple = passage->key,
    };
    bpf_ringbuf_output(&egw_trace, &event, sizeof(event), 0);
  }
  return leave(passage->hook, is_created ? EGW_CONNECTION_NEW : EGW_CONNECTION_HIT);
}

/* A miss: the connection is known from now on, with these sides allowed. */
static __always_inline int create(struct __sk_buff *skb, const struct passage *passage, enum egw_kind kind, __be32 gateway,
                                  __u8 sides) {
  struct egw_connection fresh = {
      .seen = bpf_ktime_get_boot_ns(),
      .gateway = gateway,
      .ifindex = skb->ifindex,
      .begun = egress_flags,
      .kind = kind,
      .sides = sides,
      .state = passage->is_answer ? EGW_NAT_ANSWERED : 0,
  };
  struct egw_tuple key = passage->key;
  if (bpf_map_update_elem(&egw_connections, &key, &fresh, BPF_ANY)) return leave(passage->hook, EGW_STACK_UNKNOWN_FLOW);
  return tell(skb, passage, kind, true);
}

/* A miss of what a connection begins with: whoever is on this side of the hook is allowed. */
static __always_inline int begin(struct __sk_buff *skb, struct passage *passage, enum egw_kind kind, __be32 gateway,
                                 enum egw_side side) {
  passage->key = passage->tuple;
  passage->is_answer = false;
  return create(skb, passage, kind, gateway, side);
}

static __always_inline void note(struct egw_connection *connection, const struct passage *passage) {
  const struct packet *packet = &passage->packet;
  /* A SYN begins anew by the ports of a connection that has ended. */
  __u8 state = packet->is_first && packet->is_syn ? 0 : connection->state;
  if (passage->is_answer) state |= EGW_NAT_ANSWERED;
  if (packet->is_fin) state |= passage->is_answer ? EGW_NAT_FIN_IN : EGW_NAT_FIN_OUT;
  if (packet->is_reset)
    state |= passage->is_answer && connection->state & EGW_NAT_ANSWERED ? EGW_NAT_RESET : EGW_NAT_RESET | EGW_NAT_CLOSED;
  /* Where the pod goes on, it is not. */
  else if (!passage->is_answer && !packet->is_error)
    state &= ~(EGW_NAT_RESET | EGW_NAT_CLOSED);
  __u64 now = bpf_ktime_get_boot_ns();
  state |= lasting(connection->seen, now);
  if (state != connection->state) connection->state = state;
  renew(&connection->seen, now);
}

/*
 * A hit. What comes into the node is allowed for its sender; what leaves the node has to be allowed for whom it goes to, and in
 * the middle of a TCP connection only what was seen before allows that.
 */
static __always_inline int hit(struct __sk_buff *skb, struct passage *passage) {
  struct egw_connection *connection = passage->connection;
  bool is_into_node = passage->hook == EGW_HOOK_FROM_WORKLOAD || passage->hook == EGW_HOOK_FROM_NETWORK;
  __u8 side = is_into_node == passage->is_answer ? EGW_SIDE_DESTINATION : EGW_SIDE_SOURCE;
  if (!(connection->sides & side)) {
    if (!is_into_node && passage->tuple.protocol == IPPROTO_TCP && !passage->is_first)
      return leave(passage->hook, EGW_STACK_MID_FLOW);
    connection->sides |= side;
  }
  note(connection, passage);
  return tell(skb, passage, connection->kind, false);
}

#endif
