/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_TIME_H
#define EGW_TIME_H

#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#define SECOND 1000000000ULL

/* Another CPU may have seen a packet after this one has read the clock, hence the sign. */
static __always_inline __s64 silence(__u64 seen) {
  return bpf_ktime_get_boot_ns() - seen;
}

static __always_inline bool is_silent(__u64 seen, __u64 seconds) {
  return silence(seen) >= (__s64)(seconds * SECOND);
}

/* Not by every packet: other CPUs hold the same line. */
static __always_inline void renew(__u64 *seen) {
  __u64 now = bpf_ktime_get_boot_ns();
  if ((__s64)(now - *seen) > (__s64)SECOND) *seen = now;
}

#endif
