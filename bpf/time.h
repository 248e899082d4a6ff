/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_TIME_H
#define EGW_TIME_H

#include <linux/in.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"

#define SECOND 1000000000ULL

/* The clock is read once for a packet, where something is found whose time counts. */
static __always_inline __u64 read_once(__u64 *now) {
  if (!*now) *now = bpf_ktime_get_boot_ns();
  return *now;
}

/* Another CPU may have seen a packet after this one has read the clock, hence the sign. */
static __always_inline __s64 silence(__u64 seen, __u64 now) {
  return now - seen;
}

static __always_inline bool is_silent(__u64 seen, __u64 seconds, __u64 now) {
  return silence(seen, now) >= (__s64)(seconds * SECOND);
}

/* How many seconds a connection without packets is kept; the kernel's defaults (nf_conntrack-sysctl). */
static __always_inline __u64 lifetime(__u8 protocol, __u8 state) {
  if (protocol == IPPROTO_ICMP) return 30;
  if (protocol == IPPROTO_UDP) return state & EGW_NAT_ANSWERED ? 120 : 30;
  if (state & EGW_NAT_RESET) return 10;
  if (state & (EGW_NAT_FIN_OUT | EGW_NAT_FIN_IN)) return 120;
  return state & EGW_NAT_ANSWERED ? 432000 : 120;
}

/* Not by every packet: other CPUs hold the same line. */
static __always_inline void renew(__u64 *seen, __u64 now) {
  if (silence(*seen, now) > (__s64)SECOND) *seen = now;
}

#endif
