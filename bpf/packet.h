/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_PACKET_H
#define EGW_PACKET_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "layout.h"

#define L3 ETH_HLEN
/* Behind a header without options. */
#define L4 (ETH_HLEN + sizeof(struct iphdr))
/* RFC 791 */
#define MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET 0x1fff

/* linux/icmp.h can't be used here: it pulls in headers of user space. */
struct icmp {
  __u8 type;
  __u8 code;
  __sum16 checksum;
  __be16 id;
  __be16 sequence;
};

enum icmp_type {
  ECHO_REPLY = 0,
  UNREACHABLE = 3,
  ECHO_REQUEST = 8,
  TIME_EXCEEDED = 11,
  PARAMETER_PROBLEM = 12,
};

/* What an ICMP error quotes of a packet (RFC 792): its header and eight bytes. */
struct quoted {
  struct iphdr ip;
  union {
    struct {
      __be16 source;
      __be16 destination;
      __be16 length;
      __sum16 checksum;
    } ports;
    struct icmp icmp;
  };
};

struct packet {
  struct egw_tuple tuple;
  /* Of an ICMP error: the tuple of the packet that it quotes. */
  struct egw_tuple quoted;
  __be16 id;
  __u8 tos;
  __u8 ttl;
  /* Bytes of the IP header, with its options. */
  __u8 header;
  /* Bytes of the header behind the IP header, where that is TCP's or UDP's. */
  __u8 head;
  /* One of several fragments, and one that has no ports. */
  bool is_piece;
  bool is_later;
  /* The tuple is filled in. */
  bool has_ports;
  /* Where programs know its connection they carry it. */
  bool is_carried;
  bool is_error;
  bool is_syn;
  bool is_fin;
  bool is_reset;
  /* It may begin a connection. */
  bool is_first;
};

/* Where that is which the IP header stands before. */
static __always_inline __u32 transport_of(const struct packet *packet) {
  return L3 + packet->header;
}

static __always_inline struct egw_tuple answer_to(const struct egw_tuple *tuple) {
  struct egw_tuple answer = {
      .source = tuple->destination,
      .destination = tuple->source,
      .source_port = tuple->destination_port,
      .destination_port = tuple->source_port,
      .protocol = tuple->protocol,
  };
  return answer;
}

static __always_inline bool is_error(__u8 type) {
  return type == UNREACHABLE || type == TIME_EXCEEDED || type == PARAMETER_PROBLEM;
}

static __always_inline bool set_echo(struct egw_tuple *tuple, const struct icmp *icmp) {
  if (icmp->type == ECHO_REQUEST)
    tuple->source_port = icmp->id;
  else if (icmp->type == ECHO_REPLY)
    tuple->destination_port = icmp->id;
  else
    return false;
  return true;
}

static __always_inline bool read_quote(struct __sk_buff *skb, __u32 at, struct egw_tuple *tuple) {
  struct quoted quoted;
  if (bpf_skb_load_bytes(skb, at, &quoted, sizeof(quoted))) return false;
  if (quoted.ip.version != 4 || quoted.ip.ihl != 5 || quoted.ip.frag_off & bpf_htons(FRAGMENT_OFFSET)) return false;
  tuple->source = quoted.ip.saddr;
  tuple->destination = quoted.ip.daddr;
  tuple->protocol = quoted.ip.protocol;
  if (quoted.ip.protocol == IPPROTO_ICMP) return set_echo(tuple, &quoted.icmp);
  if (quoted.ip.protocol != IPPROTO_TCP && quoted.ip.protocol != IPPROTO_UDP) return false;
  tuple->source_port = quoted.ports.source;
  tuple->destination_port = quoted.ports.destination;
  return true;
}

/* What lies behind the IP header. False where programs don't know it. */
static __always_inline bool read_transport(struct __sk_buff *skb, __u32 at, struct packet *packet) {
  switch (packet->tuple.protocol) {
    case IPPROTO_TCP: {
      struct tcphdr tcp;
      if (bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp))) return false;
      packet->head = tcp.doff * 4;
      packet->tuple.source_port = tcp.source;
      packet->tuple.destination_port = tcp.dest;
      packet->is_syn = tcp.syn;
      packet->is_fin = tcp.fin;
      packet->is_reset = tcp.rst;
      packet->is_first = tcp.syn && !tcp.ack && !tcp.rst && !tcp.fin;
      return true;
    }
    case IPPROTO_UDP: {
      struct udphdr udp;
      if (bpf_skb_load_bytes(skb, at, &udp, sizeof(udp))) return false;
      packet->head = sizeof(udp);
      packet->tuple.source_port = udp.source;
      packet->tuple.destination_port = udp.dest;
      packet->is_first = true;
      return true;
    }
    case IPPROTO_ICMP: {
      struct icmp icmp;
      if (bpf_skb_load_bytes(skb, at, &icmp, sizeof(icmp))) return false;
      packet->is_error = is_error(icmp.type);
      /* An error goes to whoever sent what it quotes: else it could carry a connection's name anywhere. */
      if (packet->is_error)
        return read_quote(skb, at + sizeof(icmp), &packet->quoted) && packet->quoted.source == packet->tuple.destination;
      packet->is_first = icmp.type == ECHO_REQUEST;
      return set_echo(&packet->tuple, &icmp);
    }
    default:
      return false;
  }
}

/* A frame of a VLAN is that one's device's, which has rules of its own. */
static __always_inline bool is_tagged(const struct __sk_buff *skb) {
  return skb->vlan_present && skb->vlan_tci & 0xfff;
}

/* Options of RFC 791. Those of several bytes have their length behind their kind. */
#define NO_OPERATION 1
#define RECORDED_ROUTE 7
#define TIMESTAMPS 68
/* Loose and strict source routes, in each place. */
#define LOOSE_SOURCE_ROUTES 0x8383838383838383ULL
#define STRICT_SOURCE_ROUTES 0x8989898989898989ULL
/* A power of two; a header has 40 at most. */
#define OPTION_BYTES 64

static __always_inline __u64 has_zero(__u64 bytes) {
  return (bytes - 0x0101010101010101ULL) & ~bytes & 0x8080808080808080ULL;
}

/*
 * Whether options may say by whom a packet goes: whether it may is for the stack, which refuses it by default. What routers have
 * recorded in the first one says nothing (`ping -R`, `ping -T`). Of the others each byte is asked, be it an option's kind or in
 * one: to go from option to option has more branches than the verifier follows.
 */
static __always_inline bool is_source_routed(struct __sk_buff *skb, __u32 at, __u32 bytes) {
  __u64 words[OPTION_BYTES / 8] = {}, found = 0;
  __u8 first[3];
  if (bpf_skb_load_bytes(skb, at, first, sizeof(first))) return true;
  __u32 passed = first[0] == NO_OPERATION;
  __u8 kind = passed ? first[1] : first[0], length = passed ? first[2] : first[1];
  if (kind == RECORDED_ROUTE || kind == TIMESTAMPS) {
    passed += length;
    if (length < 2 || passed > bytes) return true;
    if (passed == bytes) return false;
  }
  bytes -= passed;
  asm volatile("" : "+r"(bytes));
  if (bpf_skb_load_bytes(skb, at + passed, words, ((bytes - 1) & (OPTION_BYTES - 1)) + 1)) return true;
  for (int i = 0; i < OPTION_BYTES / 8; i++)
    found |= has_zero(words[i] ^ LOOSE_SOURCE_ROUTES) | has_zero(words[i] ^ STRICT_SOURCE_ROUTES);
  return found;
}

/*
 * Reads the packet that begins there, once. False, with the verdict, where it is not a whole one that programs take. What has its
 * ports all the same (the first of fragments, what says by whom it goes) has its tuple filled in.
 */
static __always_inline bool parse_at(struct __sk_buff *skb, __u32 at, struct packet *packet, enum egw_verdict *verdict) {
  struct iphdr ip;
  __builtin_memset(packet, 0, sizeof(*packet));
  /* Behind another header than Ethernet's stands something else. */
  if (is_tagged(skb) || bpf_skb_load_bytes(skb, at, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5)
    return *verdict = EGW_NOT_IPV4, false;
  packet->tuple.source = ip.saddr;
  packet->tuple.destination = ip.daddr;
  packet->tuple.protocol = ip.protocol;
  packet->id = ip.id;
  packet->tos = ip.tos;
  packet->ttl = ip.ttl;
  packet->header = ip.ihl * 4;
  packet->is_later = ip.frag_off & bpf_htons(FRAGMENT_OFFSET);
  packet->is_piece = packet->is_later || ip.frag_off & bpf_htons(MORE_FRAGMENTS);
  packet->is_carried = packet->is_later;
  if (packet->is_later) return *verdict = EGW_STACK_FRAGMENT, false;
  if (!read_transport(skb, at + packet->header, packet)) return *verdict = EGW_STACK_PROTOCOL, false;
  packet->has_ports = !packet->is_error;
  if (ip.ihl > 5 && is_source_routed(skb, at + sizeof(ip), packet->header - sizeof(ip)))
    return *verdict = EGW_STACK_OPTIONS, false;
  packet->is_carried = !packet->is_piece || packet->has_ports;
  if (packet->is_piece) return *verdict = EGW_STACK_FRAGMENT, false;
  return true;
}

static __always_inline bool parse(struct __sk_buff *skb, struct packet *packet, enum egw_verdict *verdict) {
  if (skb->protocol == bpf_htons(ETH_P_IP)) return parse_at(skb, L3, packet, verdict);
  __builtin_memset(packet, 0, sizeof(*packet));
  return *verdict = EGW_NOT_IPV4, false;
}

#endif
