/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_NAT_H
#define EGW_NAT_H

#include <asm-generic/errno-base.h>

#include "maps.h"
#include "packet.h"
#include "time.h"

/* Ports that may be given to a connection whose own one is taken, in host byte order; put into the object. */
volatile const __u16 first_port = 1024;
volatile const __u16 last_port = 65535;

/* So many ports are tried, beginning with the own one. */
#define TRIES 32

/* As a pod sends it -> its translation. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __uint(key_size, sizeof(struct egw_tuple));
  __uint(value_size, sizeof(struct egw_nat));
} egw_nat_out SEC(".maps");

/* As its answers come in -> as the pod sends it. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, FLOWS);
  __uint(key_size, sizeof(struct egw_tuple));
  __uint(value_size, sizeof(struct egw_tuple));
} egw_nat_in SEC(".maps");

/* `seen` may lag by a second: nothing here ends before conntrack's entry does, on this node or the pod's. */
static __always_inline bool is_alive(const struct egw_nat *nat, __u8 protocol, __u64 *now) {
  return !is_silent(nat->seen, lifetime(protocol, nat->state) + 1, read_once(now));
}

/* The living entry of a tuple as it is sent. */
static __always_inline struct egw_nat *nat_of(const struct egw_tuple *tuple, __u64 *now) {
  struct egw_nat *nat = bpf_map_lookup_elem(&egw_nat_out, tuple);
  return nat && is_alive(nat, tuple->protocol, now) ? nat : NULL;
}

/* The living entry to which an answer belongs, with its tuple as it is sent. */
static __always_inline struct egw_nat *owner_of(const struct egw_tuple *answer, struct egw_tuple *tuple, __u64 *now) {
  const struct egw_tuple *owner = bpf_map_lookup_elem(&egw_nat_in, answer);
  if (!owner) return NULL;
  *tuple = *owner;
  return nat_of(tuple, now);
}

/* Both directions write here, each by the packets of another CPU: so only what is new. */
static __always_inline void note(struct egw_nat *nat, __u8 state, __u64 *now) {
  state |= lasting(nat->seen, read_once(now));
  if (nat->state == state) {
    renew(&nat->seen, read_once(now));
  } else {
    nat->state = state;
    nat->seen = read_once(now);
  }
}

/* Notes a packet towards the outside. */
static __always_inline void note_out(struct egw_nat *nat, const struct packet *packet, __u64 *now) {
  __u8 state = nat->state;
  /* A SYN begins anew by the ports of a connection that has ended. */
  if (packet->is_first && packet->is_syn) state = 0;
  if (packet->is_fin) state |= EGW_NAT_FIN_OUT;
  /* Anybody outside can say that a connection is reset: where its pod goes on, it is not. */
  if (packet->is_reset)
    state |= EGW_NAT_RESET | EGW_NAT_CLOSED;
  else if (!packet->is_error)
    state &= ~(EGW_NAT_RESET | EGW_NAT_CLOSED);
  note(nat, state, now);
}

/* Notes an answer. */
static __always_inline void note_in(struct egw_nat *nat, const struct packet *packet, __u64 *now) {
  __u8 state = nat->state | EGW_NAT_ANSWERED;
  if (packet->is_fin) state |= EGW_NAT_FIN_IN;
  if (packet->is_reset) state |= nat->state & EGW_NAT_ANSWERED ? EGW_NAT_RESET : EGW_NAT_RESET | EGW_NAT_CLOSED;
  note(nat, state, now);
}

/* A TCP connection that both sides have ended, or one for both. */
static __always_inline bool has_ended(const struct egw_nat *nat) {
  const __u8 both = EGW_NAT_FIN_OUT | EGW_NAT_FIN_IN;
  return nat->state & EGW_NAT_RESET || (nat->state & both) == both;
}

/* The tuple of the answers to a translation. */
static __always_inline struct egw_tuple answer_by(const struct egw_tuple *tuple, const struct egw_nat *nat) {
  struct egw_tuple answer = answer_to(tuple);
  answer.destination = nat->egress_ip;
  answer.destination_port = nat->port;
  return answer;
}

static __always_inline bool is_same(const struct egw_tuple *a, const struct egw_tuple *b) {
  return a->source == b->source && a->destination == b->destination && a->source_port == b->source_port &&
         a->destination_port == b->destination_port && a->protocol == b->protocol;
}

/* Takes both entries away; that for the answers where it is not another one's by now. */
static __always_inline void forget(const struct egw_tuple *tuple, const struct egw_nat *nat) {
  struct egw_tuple answer = answer_by(tuple, nat);
  const struct egw_tuple *owner = bpf_map_lookup_elem(&egw_nat_in, &answer);
  if (owner && is_same(owner, tuple)) bpf_map_delete_elem(&egw_nat_in, &answer);
  bpf_map_delete_elem(&egw_nat_out, tuple);
}

/*
 * Whether answers find their way to a translation: of the two maps each evicts what it was not asked for, and nobody asks for the
 * answers of who gets none. What is gone is written again; false where another one has the port by now.
 */
static __always_inline bool has_answers(const struct egw_tuple *tuple, const struct egw_nat *nat) {
  struct egw_tuple answer = answer_by(tuple, nat);
  const struct egw_tuple *owner = bpf_map_lookup_elem(&egw_nat_in, &answer);
  if (owner) return is_same(owner, tuple);
  return bpf_map_update_elem(&egw_nat_in, &answer, tuple, BPF_NOEXIST) != -EEXIST;
}

/* The living entry of a tuple as it is sent, whose answers are looked after now and then. */
static __always_inline struct egw_nat *held_nat_of(const struct egw_tuple *tuple, __u64 *now) {
  struct egw_nat *nat = nat_of(tuple, now);
  if (!nat || !is_due(nat->seen, read_once(now)) || has_answers(tuple, nat)) return nat;
  bpf_map_delete_elem(&egw_nat_out, tuple);
  return NULL;
}

/*
 * Takes a port from a connection that has been silent for too long; false where that lives. One whose other half is not there is
 * about to: its CPU writes that next. Of two CPUs that find the same one gets it, who has taken the other half.
 */
static __always_inline bool take_over(const struct egw_tuple *answer, const struct egw_tuple *tuple, __u64 *now) {
  const struct egw_tuple *found = bpf_map_lookup_elem(&egw_nat_in, answer);
  if (!found || is_same(found, tuple)) return true;
  struct egw_tuple owner = *found;
  const struct egw_nat *nat = bpf_map_lookup_elem(&egw_nat_out, &owner);
  /* It has another one by now. */
  if (nat && (nat->port != answer->destination_port || nat->egress_ip != answer->destination)) return true;
  return nat && !is_alive(nat, tuple->protocol, now) && !bpf_map_delete_elem(&egw_nat_out, &owner);
}

/*
 * The ports that are tried: from a random one counting up, in steps that reach round the whole range. Those that pods chose
 * themselves lie side by side, so where one is taken the next one is too.
 */
static __always_inline __be16 in_range(__u32 random, __u32 i) {
  __u32 size = last_port - first_port + 1;
  return bpf_htons(first_port + (random + i * (size / TRIES + 1)) % size);
}

/*
 * Takes a port for a new connection and writes both entries: its own one where nobody has it, else another one
 * (seed: snat_v4_new_mapping). False with the verdict where there is none.
 */
static __always_inline bool take_port(const struct egw_tuple *tuple, struct egw_nat *nat, __u64 *now,
                                      enum egw_verdict *verdict) {
  __u32 random = bpf_get_prandom_u32() & 0xffff;
  struct egw_tuple forward = *tuple;
  /* By another port, before: that is nobody's any more. */
  const struct egw_nat *former = bpf_map_lookup_elem(&egw_nat_out, &forward);
  if (former && !is_alive(former, tuple->protocol, now)) forget(&forward, former);
  nat->port = tuple->source_port;
  for (__u32 i = 0; i < TRIES; i++) {
    struct egw_tuple answer = answer_by(&forward, nat);
    /* Of two CPUs that try the same port one gets it. */
    long failed = bpf_map_update_elem(&egw_nat_in, &answer, &forward, BPF_NOEXIST);
    if (failed == -EEXIST && take_over(&answer, &forward, now)) {
      bpf_map_delete_elem(&egw_nat_in, &answer);
      failed = bpf_map_update_elem(&egw_nat_in, &answer, &forward, BPF_NOEXIST);
    }
    if (!failed) {
      if (!bpf_map_update_elem(&egw_nat_out, &forward, nat, BPF_ANY)) return true;
      bpf_map_delete_elem(&egw_nat_in, &answer);
      return *verdict = EGW_DROP_MAP_FULL, false;
    }
    if (failed != -EEXIST) return *verdict = EGW_DROP_MAP_FULL, false;
    nat->port = in_range(random, i);
  }
  return *verdict = EGW_DROP_NO_PORT, false;
}

/*
 * The port of a packet that the stack has translated: its own one, which no pod's connection gets as long as conntrack keeps
 * it, or another one where a pod's connection has it. False with the verdict.
 */
static __always_inline bool port_of_stack(const struct packet *packet, __be16 *port, enum egw_verdict *verdict) {
  struct egw_tuple tuple = packet->tuple, answer = answer_to(&tuple), other;
  __u64 now = 0;
  struct egw_nat *nat = held_nat_of(&tuple, &now);
  if (nat) {
    note_out(nat, packet, &now);
    *port = nat->port;
    return true;
  }
  /* With these the node itself answers, whoever asks. That holds no port, or anybody could fill the maps. */
  if (packet->is_reset || (packet->is_syn && !packet->is_first) || (tuple.protocol == IPPROTO_ICMP && !packet->is_first)) {
    *port = tuple.source_port;
    *verdict = EGW_DROP_PORT_TAKEN;
    return !owner_of(&answer, &other, &now);
  }
  struct egw_nat fresh = {.egress_ip = tuple.source, .seen = read_once(&now)};
  note_out(&fresh, packet, &now);
  if (!take_port(&tuple, &fresh, &now, verdict)) return false;
  *port = fresh.port;
  return true;
}

#endif
