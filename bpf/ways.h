/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_WAYS_H
#define EGW_WAYS_H

#include "route.h"
#include "time.h"

/* Where a packet goes next; device 0 = not known. */
struct way {
  __u32 ifindex;
  struct bpf_redir_neigh next;
};

struct egw_way_key {
  __be32 source;
  __be32 destination;
  /* The device by which it has come: rules may ask for it. */
  __u32 ifindex;
};

struct egw_way {
  /* bpf_ktime_get_boot_ns */
  __u64 looked;
  __u32 ifindex;
  __be32 next;
  /* Bytes of IP that it takes; 0 = not told (before 5.12). */
  __u32 longest;
  __u32 zero;
};

/*
 * Ways that were found a moment ago: a look-up, with the node's rules, costs as much as all else that a program does for a packet.
 * A route that changes is followed when they are WAY_NS old.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(struct egw_way_key));
  __uint(value_size, sizeof(struct egw_way));
} egw_ways SEC(".maps");

#define WAY_NS (SECOND / 10)

/*
 * The way of a packet of `length` bytes of IP. `total`: that many have to fit the route; 0 = as many as the packet has now the device.
 * False where there is none, or by a next hop that has no IPv4 address.
 */
static __always_inline bool find_way(struct __sk_buff *skb, __be32 source, __be32 destination, __u32 total, __u32 length,
                                     __u64 now, struct way *way) {
  struct egw_way_key key = {.source = source, .destination = destination, .ifindex = skb->ifindex};
  const struct egw_way *known = bpf_map_lookup_elem(&egw_ways, &key);
  way->next.nh_family = 2; /* AF_INET */
  if (known && silence(known->looked, now) < (__s64)WAY_NS && length <= known->longest) {
    way->ifindex = known->ifindex;
    way->next.ipv4_nh = known->next;
    return true;
  }
  struct bpf_fib_lookup route = {
      .family = 2,
      .tot_len = total,
      .ipv4_src = source,
      .ipv4_dst = destination,
      .ifindex = skb->ifindex,
  };
  long found = bpf_fib_lookup(skb, &route, sizeof(route), 0);
  if (found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH) return false;
  if (route.family != 2) return false;
  way->ifindex = route.ifindex;
  way->next.ipv4_nh = route.ipv4_dst;
  if (found == BPF_FIB_LKUP_RET_SUCCESS) {
    struct egw_way fresh = {.looked = now, .ifindex = route.ifindex, .next = route.ipv4_dst, .longest = route.mtu_result};
    bpf_map_update_elem(&egw_ways, &key, &fresh, BPF_ANY);
  }
  return true;
}

/* Sends a packet by a device: by a way that is known to lead there, else by what the kernel finds. */
static __always_inline int send_by(__u32 ifindex, struct way *way) {
  if (way->ifindex == ifindex) return bpf_redirect_neigh(ifindex, &way->next, sizeof(way->next), 0);
  return bpf_redirect_neigh(ifindex, NULL, 0, 0);
}

#endif
