/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_MAPS_H
#define EGW_MAPS_H

#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define POLICIES 262144
#define FLOWS 262144

volatile const __u32 layout_version = EGW_LAYOUT_VERSION;
volatile const struct egw_layout layout = {};

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICIES);
  __uint(key_size, sizeof(struct egw_policy_key));
  __uint(value_size, sizeof(struct egw_policy));
} egw_policies SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, POLICIES);
  __uint(key_size, sizeof(struct egw_source_key));
  __uint(value_size, sizeof(__be32));
} egw_sources SEC(".maps");

/* By hook and verdict: how often. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, EGW_HOOKS * EGW_VERDICTS);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(__u64));
} egw_verdicts SEC(".maps");

static __always_inline void count(enum egw_hook hook, enum egw_verdict verdict) {
  __u32 key = hook * EGW_VERDICTS + verdict;
  __u64 *counter = bpf_map_lookup_elem(&egw_verdicts, &key);
  if (counter) *counter += 1;
}

/* Ends a program that does not redirect. What is not dropped goes to the filters behind it, then to the stack. */
static __always_inline int leave(enum egw_hook hook, enum egw_verdict verdict) {
  count(hook, verdict);
  return verdict >= EGW_DROP_SHORT ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* The verifier takes no store of a part of it, which the compiler would make. */
static __always_inline void set_mark(struct __sk_buff *skb, __u32 class) {
  volatile __u32 *mark = &skb->mark;
  *mark = (*mark & ~EGW_MARK_CLASS) | class;
}

static __always_inline bool is_marked(const struct __sk_buff *skb, __u32 class) {
  return (skb->mark & EGW_MARK_CLASS) == class;
}

/* The policy of a source and destination; one of an excluded network where there is no other. NULL where none selects it. */
static __always_inline const struct egw_policy *policy_of(__be32 source, __be32 destination) {
  struct egw_policy_key key = {.prefix_length = 64, .source = source, .destination = destination};
  const struct egw_policy *own = bpf_map_lookup_elem(&egw_policies, &key);
  if (own && own->gateway != bpf_htonl(EGW_GATEWAY_EXCLUDED)) return own;
  struct egw_source_key network = {.prefix_length = 32, .source = source};
  const __be32 *class = bpf_map_lookup_elem(&egw_sources, &network);
  if (!class) return own;
  key.source = *class;
  const struct egw_policy *wide = bpf_map_lookup_elem(&egw_policies, &key);
  return wide ? wide : own;
}

#endif
