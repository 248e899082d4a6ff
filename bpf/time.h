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

/*
 * How many seconds a connection without packets is kept: the kernel's defaults (nf_conntrack-sysctl), and where the pod alone has
 * ended it the hour that kube-proxy gives it (conntrack-tcp-timeout-close-wait), for what it has asked before. Datagrams are a stream for
 * conntrack where they are answered and one comes 2 s after the first: here no later, since ports of the stack are known by this.
 * What comes from outside may be forged, and no sequence number is looked at: a FIN from there shortens only what the pod has ended,
 * a RST no more than both.
 */
static __always_inline __u64 lifetime(__u8 protocol, __u8 state) {
  const __u8 stream = EGW_NAT_ANSWERED | EGW_NAT_LASTING;
  if (protocol == IPPROTO_ICMP) return 30;
  if (protocol == IPPROTO_UDP) return (state & stream) == stream ? 120 : 30;
  if (state & EGW_NAT_CLOSED) return 10;
  if (state & EGW_NAT_RESET || !(state & EGW_NAT_ANSWERED)) return 120;
  if (state & EGW_NAT_FIN_OUT) return state & EGW_NAT_FIN_IN ? 120 : 3600;
  return 432000;
}

static __always_inline bool is_due(__u64 seen, __u64 now) {
  return silence(seen, now) > (__s64)SECOND;
}

/* Not by every packet: other CPUs hold the same line. */
static __always_inline void renew(__u64 *seen, __u64 now) {
  if (is_due(*seen, now)) *seen = now;
}

/* What the time of a packet adds to a connection's state. */
static __always_inline __u8 lasting(__u64 seen, __u64 now) {
  return is_due(seen, now) ? EGW_NAT_LASTING : 0;
}

#endif
