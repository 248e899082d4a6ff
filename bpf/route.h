/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_ROUTE_H
#define EGW_ROUTE_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

static __always_inline long look_up(struct __sk_buff *skb, __be32 source, __be32 destination, struct bpf_fib_lookup *route,
                                    __u32 flags) {
  *route = (struct bpf_fib_lookup){
      .family = 2, /* AF_INET */
      .ipv4_src = source,
      .ipv4_dst = destination,
      .ifindex = skb->ifindex,
  };
  return bpf_fib_lookup(skb, route, sizeof(*route), flags);
}

/*
 * The device by which a packet would be routed; 0 = none. With BPF_FIB_LOOKUP_DIRECT by the main table alone, where pods'
 * routes are: the node's rules choose among ways out, and pods are none.
 */
static __always_inline __u32 device_of(struct __sk_buff *skb, __be32 source, __be32 destination, __u32 flags) {
  struct bpf_fib_lookup route;
  long found = look_up(skb, source, destination, &route, flags);
  return found == BPF_FIB_LKUP_RET_SUCCESS || found == BPF_FIB_LKUP_RET_NO_NEIGH ? route.ifindex : 0;
}

/* Whether an address is one of the node's. One to which the node has no route at all is told the same way by the kernel. */
static __always_inline bool is_local(struct __sk_buff *skb, __be32 address) {
  struct bpf_fib_lookup route;
  return look_up(skb, 0, address, &route, 0) == BPF_FIB_LKUP_RET_NOT_FWDED;
}

#endif
