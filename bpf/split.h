/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_SPLIT_H
#define EGW_SPLIT_H

#include "packet.h"
#include "rewrite.h"
#include "route.h"

#define DONT_FRAGMENT 0x4000
/* The longest half; a power of two. */
#define HALF 2048

/* Where a program keeps one half while it sends the other one. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, HALF);
} egw_half SEC(".maps");

/*
 * A length of 1 to HALF, said once more: older verifiers forget the bounds of what the compiler puts on the stack, and it is kept
 * from knowing them still.
 */
static __always_inline __u64 bounded(__u64 length) {
  asm volatile("" : "+r"(length));
  return ((length - 1) & (HALF - 1)) + 1;
}

/* Says in the header that a packet is a fragment: of so many bytes behind its header, with these flags, from there on in the whole. */
static __always_inline bool write_piece(struct __sk_buff *skb, struct iphdr ip, __u32 bytes, __u16 fragment) {
  ip.tot_len = bpf_htons(sizeof(ip) + bytes);
  ip.frag_off = bpf_htons(fragment);
  ip.check = 0;
  ip.check = folded(bpf_csum_diff(NULL, 0, (__be32 *)&ip, sizeof(ip), 0));
  return !bpf_skb_store_bytes(skb, L3, &ip, sizeof(ip), 0);
}

/* Sends what a packet is by now by a device, to whom a look-up has found. */
static __always_inline bool send_clone(struct __sk_buff *skb, const struct bpf_fib_lookup *route, __u32 ifindex) {
  return !bpf_skb_store_bytes(skb, 0, route->dmac, ETH_ALEN, 0) && !bpf_skb_store_bytes(skb, ETH_ALEN, route->smac, ETH_ALEN, 0) &&
         bpf_clone_redirect(skb, ifindex, 0) >= 0;
}

/*
 * Sends one half of a packet by a device that does not take it whole, and leaves the other one: neither does the kernel make
 * fragments of what a program sends, nor does it answer. One that may not be in fragments is cut too, as the tunnel does it; its id,
 * which may be any (RFC 6864), is then its own. What can't be cut is left as it is: the device drops it, and counts that. False
 * where it is in pieces and can't be sent.
 */
static __always_inline bool send_half(struct __sk_buff *skb, __be32 destination, __u32 ifindex) {
  struct iphdr ip;
  if (bpf_skb_load_bytes(skb, L3, &ip, sizeof(ip)) || ip.ihl != 5) return true;
  /* The second half is no longer than the first one. */
  __u32 bytes = bpf_ntohs(ip.tot_len) - sizeof(ip), half = ((bytes + 1) / 2 + 7) & ~7U, rest = bytes - half, zero = 0;
  void *kept = bpf_map_lookup_elem(&egw_half, &zero);
  if (!kept || !rest || half > HALF) return true;
  struct bpf_fib_lookup route = {
      .family = 2, .tot_len = sizeof(ip) + half, .ipv4_dst = destination, .ifindex = skb->ifindex};
  if (bpf_fib_lookup(skb, &route, sizeof(route), 0) || route.ifindex != ifindex) return true;
  __u16 fragment = bpf_ntohs(ip.frag_off), behind;
  if (fragment == DONT_FRAGMENT) ip.id = bpf_get_prandom_u32();
  fragment &= ~DONT_FRAGMENT;
  behind = fragment + half / 8;
  fragment |= MORE_FRAGMENTS;
  if (bpf_skb_load_bytes(skb, L4 + half, kept, bounded(rest))) return true;
  if (!bpf_skb_change_tail(skb, L4 + half, 0))
    return write_piece(skb, ip, half, fragment) && send_clone(skb, &route, ifindex) &&
           !bpf_skb_store_bytes(skb, L4, kept, bounded(rest), BPF_F_RECOMPUTE_CSUM) &&
           !bpf_skb_change_tail(skb, L4 + rest, 0) && write_piece(skb, ip, rest, behind);
  /*
   * Kernels before 6.13 (in stable ones it is mended) refuse that for fragments and echos out of the tunnel: they compare with where
   * the outer UDP header was. There the second half goes first. That does not do for all: a checksum that a device is to make would be lost.
   */
  if (bpf_skb_load_bytes(skb, L4, kept, bounded(half)) || bpf_skb_adjust_room(skb, -(__s32)half, BPF_ADJ_ROOM_NET, 0)) return true;
  return write_piece(skb, ip, rest, behind) && send_clone(skb, &route, ifindex) &&
         (half == rest || !bpf_skb_adjust_room(skb, half - rest, BPF_ADJ_ROOM_NET, 0)) &&
         !bpf_skb_store_bytes(skb, L4, kept, bounded(half), BPF_F_RECOMPUTE_CSUM) && write_piece(skb, ip, half, fragment);
}

#endif
