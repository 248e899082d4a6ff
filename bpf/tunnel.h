/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_TUNNEL_H
#define EGW_TUNNEL_H

#include "maps.h"
#include "packet.h"
#include "rewrite.h"
#include "ways.h"

/* Put into the object for each attachment. */
volatile const __u32 tunnel_ifindex = 0;
volatile const __u32 tunnel_mtu = 1450;
volatile const __u32 tunnel_vni = 4097;
volatile const struct egw_mac tunnel_mac = {};
/* Of the tunnel's UDP; 0 = all goes by the tunnel device. */
volatile const __be16 tunnel_port = 0;
/* The node's underlay address. */
volatile const __be32 node_address = 0;

/* What stands between the Ethernet header of a frame of the tunnel and the packet in it (RFC 7348). */
struct outer {
  struct iphdr ip;
  struct udphdr udp;
  __be32 flags;
  __be32 vni;
  __u8 destination[ETH_ALEN];
  __u8 source[ETH_ALEN];
  __be16 protocol;
} __attribute__((packed));

#define OUTER sizeof(struct outer)
#define VNI_VALID 0x08000000
/* RFC 3168: the last two bits of TOS. */
#define ECN 3

/* Byte by byte: of a copy of the whole, the compiler takes for known what stands there before it is put in. */
static __always_inline void write_own(__u8 *to) {
  for (int i = 0; i < ETH_ALEN; i++) to[i] = tunnel_mac.bytes[i];
}

static __always_inline bool is_own(const __u8 *address) {
  for (int i = 0; i < ETH_ALEN; i++)
    if (address[i] != tunnel_mac.bytes[i]) return false;
  return true;
}

/* Of bpf_tunnel_key, what kernels before 6.0 have too: they refuse more. */
#define TUNNEL_KEY (offsetof(struct bpf_tunnel_key, tunnel_label) + sizeof(__u32))

/* The longest packet of which an aggregate or a single packet consists. */
static __always_inline __u32 longest(const struct __sk_buff *skb, const struct packet *packet) {
  return skb->gso_size ? packet->header + packet->head + skb->gso_size : skb->len - ETH_HLEN;
}

/* Of what the kernel holds to a device's MTU: an aggregate it does not. */
static __always_inline __u32 plain_length(const struct __sk_buff *skb) {
  if (skb->gso_size) return 0;
  return skb->len - ETH_HLEN;
}

/* As the tunnel device does it: DSCP 0, and the congestion bits of what is inside (RFC 6040). */
static __always_inline __u8 outer_tos(__u8 inner) {
  return (inner & ECN) == ECN ? 2 : inner & ECN;
}

/*
 * Puts a packet into the tunnel without its device: that costs a second pass through the stack. False where the device has
 * to, with the packet as it was: too long, no route, a kernel before 5.13, what is encapsulated already.
 */
static __always_inline bool encapsulate(struct __sk_buff *skb, const struct packet *packet, __be32 remote,
                                        const struct egw_mac *peer, __u64 now, struct way *way) {
  __u32 length = longest(skb, packet), total = skb->len - ETH_HLEN + OUTER;
  if (!tunnel_port || length > tunnel_mtu || total > 0xffff) return false;
  if (!find_way(skb, node_address, remote, length + OUTER, length + OUTER, now, way)) return false;
  __u32 hash = bpf_get_hash_recalc(skb);
  if (bpf_skb_adjust_room(skb, OUTER, BPF_ADJ_ROOM_MAC,
                          BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
                              BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN) | BPF_F_ADJ_ROOM_ENCAP_L2_ETH))
    return false;
  struct outer outer = {
      .ip = {.version = 4,
             .ihl = 5,
             .tos = outer_tos(packet->tos),
             .tot_len = bpf_htons(total),
             .id = bpf_get_prandom_u32(),
             .ttl = 64,
             .protocol = IPPROTO_UDP,
             .saddr = node_address,
             .daddr = remote},
      /* So that what lies between can tell connections apart. */
      .udp = {.source = bpf_htons(0x8000 | (hash & 0x7fff)), .dest = tunnel_port, .len = bpf_htons(total - sizeof(struct iphdr))},
      .flags = bpf_htonl(VNI_VALID),
      .vni = bpf_htonl(tunnel_vni << 8),
      .protocol = bpf_htons(ETH_P_IP),
  };
  __builtin_memcpy(outer.destination, peer->bytes, ETH_ALEN);
  write_own(outer.source);
  outer.ip.check = folded(bpf_csum_diff(NULL, 0, (__be32 *)&outer, sizeof(struct iphdr), 0));
  return !bpf_skb_store_bytes(skb, L3, &outer, OUTER, 0);
}

/* Sends a packet to a node of the fleet, whose tunnel device has that address. */
static __always_inline int send_by_tunnel(struct __sk_buff *skb, const struct packet *packet, enum egw_hook hook, __be32 remote,
                                          const struct egw_mac *peer, __u64 now) {
  struct egw_mac own = {}, other = *peer;
  struct way way = {};
  set_mark(skb, EGW_MARK_DONE);
  if (encapsulate(skb, packet, remote, &other, now, &way)) {
    count(hook, EGW_TO_TUNNEL);
    return send_by(way.ifindex, &way);
  }
  write_own(own.bytes);
  struct bpf_tunnel_key key = {.tunnel_id = tunnel_vni, .remote_ipv4 = bpf_ntohl(remote), .tunnel_ttl = 64};
  /* The other side takes what nodes send: where the route has another source, as towards a pod behind a bridge, it is not that. */
  key.local_ipv4 = bpf_ntohl(node_address);
  if (bpf_skb_store_bytes(skb, 0, other.bytes, ETH_ALEN, 0) || bpf_skb_store_bytes(skb, ETH_ALEN, own.bytes, ETH_ALEN, 0) ||
      (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX) &&
       bpf_skb_set_tunnel_key(skb, &key, TUNNEL_KEY, BPF_F_ZERO_CSUM_TX)))
    return leave(hook, EGW_DROP_SHORT);
  count(hook, EGW_TO_TUNNEL_DEVICE);
  return bpf_redirect(tunnel_ifindex, 0);
}

/*
 * Reads what a frame from the underlay has in front of its packet, and the packet. False where it is not one of the tunnel,
 * or one that only the device can take: fragments, a checksum of its own, congestion that it has met.
 */
static __always_inline bool peek(struct __sk_buff *skb, struct outer *outer, struct packet *packet) {
  if (!tunnel_port || skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, L3, outer, OUTER)) return false;
  enum egw_verdict verdict;
  return outer->udp.dest == tunnel_port && outer->ip.protocol == IPPROTO_UDP && outer->ip.daddr == node_address &&
         outer->ip.version == 4 && outer->ip.ihl == 5 && !(outer->ip.frag_off & bpf_htons(MORE_FRAGMENTS | FRAGMENT_OFFSET)) &&
         (outer->ip.tos & ECN) != ECN && !outer->udp.check && outer->flags == bpf_htonl(VNI_VALID) &&
         outer->vni == bpf_htonl(tunnel_vni << 8) && is_own(outer->destination) &&
         outer->protocol == bpf_htons(ETH_P_IP) && parse_at(skb, L3 + OUTER, packet, &verdict) && packet->ttl > 1;
}

/* Takes away what `peek` has read. */
static __always_inline bool decapsulate(struct __sk_buff *skb) {
  return !bpf_skb_adjust_room(skb, -(__s32)OUTER, BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO);
}

#endif
