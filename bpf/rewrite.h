/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_REWRITE_H
#define EGW_REWRITE_H

#include "packet.h"

/* Which side of a packet is translated. */
enum side { SOURCE, DESTINATION };

static __always_inline __u32 address_at(enum side side) {
  return L3 + (side == SOURCE ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));
}

static __always_inline __sum16 folded(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static __always_inline bool set_address(struct __sk_buff *skb, enum side side, __be32 before, __be32 after) {
  return !bpf_l3_csum_replace(skb, L3 + offsetof(struct iphdr, check), before, after, sizeof(after)) &&
         !bpf_skb_store_bytes(skb, address_at(side), &after, sizeof(after), 0);
}

/* Gives one side of a packet another address and port, or echo id. False where the packet can't be written. */
static __always_inline bool translate(struct __sk_buff *skb, const struct packet *packet, enum side side,
                                      __be32 address, __be16 port) {
  const struct egw_tuple *tuple = &packet->tuple;
  __be32 old_address = side == SOURCE ? tuple->source : tuple->destination;
  __be16 old_port = side == SOURCE ? tuple->source_port : tuple->destination_port;
  __u32 transport = transport_of(packet), sum = transport;
  __u32 at = transport + (side == SOURCE ? 0 : sizeof(port));
  __u64 flags = 0;
  switch (tuple->protocol) {
    case IPPROTO_TCP:
      sum += offsetof(struct tcphdr, check);
      break;
    case IPPROTO_UDP:
      sum += offsetof(struct udphdr, check);
      flags = BPF_F_MARK_MANGLED_0;
      break;
    default:
      sum += offsetof(struct icmp, checksum);
      at = transport + offsetof(struct icmp, id);
  }
  /* Checksums first: the kernel takes them for partial or whole ones by what the packet still is. */
  if (tuple->protocol != IPPROTO_ICMP &&
      bpf_l4_csum_replace(skb, sum, old_address, address, flags | BPF_F_PSEUDO_HDR | sizeof(address)))
    return false;
  if (old_port != port) {
    if (bpf_l4_csum_replace(skb, sum, old_port, port, flags | sizeof(port))) return false;
    if (bpf_skb_store_bytes(skb, at, &port, sizeof(port), 0)) return false;
  }
  return set_address(skb, side, old_address, address);
}

/* An ICMP error: `side` of it and the other side of the packet that it quotes are one host, which gets this address and port. */
static __always_inline bool translate_error(struct __sk_buff *skb, const struct packet *packet, enum side side,
                                            __be32 address, __be16 port) {
  struct quoted before, after;
  __u32 transport = transport_of(packet), quote = transport + sizeof(struct icmp);
  if (bpf_skb_load_bytes(skb, quote, &before, sizeof(before))) return false;
  after = before;
  __be32 old = side == SOURCE ? before.ip.daddr : before.ip.saddr;
  if (side == SOURCE)
    after.ip.daddr = address;
  else
    after.ip.saddr = address;
  after.ip.check = 0;
  after.ip.check = folded(bpf_csum_diff(NULL, 0, (__be32 *)&after.ip, sizeof(after.ip), 0));
  if (before.ip.protocol == IPPROTO_ICMP) {
    after.icmp.id = port;
    after.icmp.checksum =
        folded(bpf_csum_diff((__be32 *)&before.icmp, 8, (__be32 *)&after.icmp, 8, (__u16)~before.icmp.checksum));
  } else {
    if (side == SOURCE)
      after.ports.destination = port;
    else
      after.ports.source = port;
    if (before.ip.protocol == IPPROTO_UDP && before.ports.checksum) {
      __u32 sum = bpf_csum_diff(&old, 4, &address, 4, (__u16)~before.ports.checksum);
      after.ports.checksum = folded(bpf_csum_diff((__be32 *)&before.ports, 4, (__be32 *)&after.ports, 4, sum));
    }
  }
  __s64 change = bpf_csum_diff((__be32 *)&before, sizeof(before), (__be32 *)&after, sizeof(after), 0);
  __be32 outer = side == SOURCE ? packet->tuple.source : packet->tuple.destination;
  return !bpf_l4_csum_replace(skb, transport + offsetof(struct icmp, checksum), 0, change, 0) &&
         !bpf_skb_store_bytes(skb, quote, &after, sizeof(after), 0) && set_address(skb, side, outer, address);
}

/* One hop less. False where the packet has come to its last one: the stack answers for that. */
static __always_inline bool take_hop(struct __sk_buff *skb) {
  __u16 before, after;
  __u32 at = L3 + offsetof(struct iphdr, ttl);
  if (bpf_skb_load_bytes(skb, at, &before, sizeof(before))) return false;
  __u8 ttl = ((__u8 *)&before)[0];
  if (ttl <= 1) return false;
  after = before;
  ((__u8 *)&after)[0] = ttl - 1;
  return !bpf_l3_csum_replace(skb, L3 + offsetof(struct iphdr, check), before, after, sizeof(after)) &&
         !bpf_skb_store_bytes(skb, at, &after, sizeof(after), 0);
}

/* Whether a packet that is no aggregate is longer than that many bytes of IP. */
static __always_inline bool is_longer(const struct __sk_buff *skb, __u32 bytes) {
  return skb->gso_segs <= 1 && skb->len > ETH_HLEN + bytes;
}

#define OPTIONS 10

/* Lowers the maximum segment size that a SYN names (RFC 9293, option 2). Behind its header stand data. */
static __always_inline void clamp_segments(struct __sk_buff *skb, const struct packet *packet, __u16 most) {
  __u32 transport = transport_of(packet), at = transport + sizeof(struct tcphdr), end = transport + packet->head;
  for (int i = 0; i < OPTIONS; i++) {
    __u8 option[4];
    if (bpf_skb_load_bytes(skb, at, option, 2)) return;
    if (option[0] == 0) return;
    if (option[0] == 1) {
      at++;
      continue;
    }
    if (option[0] != 2) {
      if (option[1] < 2) return;
      at += option[1];
      continue;
    }
    __be16 before, after = bpf_htons(most);
    if (at + 4 > end || bpf_skb_load_bytes(skb, at + 2, &before, sizeof(before)) || bpf_ntohs(before) <= most) return;
    /* A sum of 16-bit words: a word at an odd place counts with its bytes swapped. */
    bool is_odd = (at - transport) & 1;
    bpf_l4_csum_replace(skb, transport + offsetof(struct tcphdr, check), is_odd ? __builtin_bswap16(before) : before,
                        is_odd ? __builtin_bswap16(after) : after, sizeof(after));
    bpf_skb_store_bytes(skb, at + 2, &after, sizeof(after), 0);
    return;
  }
}

#endif
