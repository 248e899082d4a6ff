/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_LAYOUT_H
#define EGW_LAYOUT_H

/*
 * What programs and user space share: keys and values of the maps, byte for byte. Addresses and ports are in network byte
 * order. provider/kernel/bpf-layout.ts has the same meaning for TypeScript, and a test holds both to the object's BTF.
 */

#include <linux/types.h>

/* Of the maps' names and values: maps of another version are not taken over. */
#define EGW_LAYOUT_VERSION 5

/*
 * Policies, as Cilium's egress policy map has them: a longest-prefix match on source and destination, where the source
 * counts whole. `prefix_length` is 32 and the length of the destination's prefix.
 */
struct egw_policy_key {
  __u32 prefix_length;
  __be32 source;
  __be32 destination;
};

/* `gateway` is the underlay address of the gateway node, or one of the two below. */
struct egw_policy {
  __be32 egress_ip;
  __be32 gateway;
};

/* No gateway node: what is selected is dropped. */
#define EGW_GATEWAY_NONE 0x00000000
/* An excluded network (0.0.0.1): what goes there is let alone. */
#define EGW_GATEWAY_EXCLUDED 0x00000001

/*
 * Sources wider than one address: network -> class. A class stands for a source in the policy map, where it can't be taken
 * for one: it is less than 2^24, so an address in 0.0.0.0/8.
 */
struct egw_source_key {
  __u32 prefix_length;
  __be32 source;
};

/* One direction of a connection. An ICMP echo has its id as the port of the side that asks, and 0 as the other one's. */
struct egw_tuple {
  __be32 source;
  __be32 destination;
  __be16 source_port;
  __be16 destination_port;
  __u8 protocol;
  __u8 zero[3];
};

/* On a client node: a connection that a pod began and the stack sent to a gateway, by the tuple from the pod's side. */
struct egw_flow {
  /* bpf_ktime_get_boot_ns */
  __u64 seen;
  /* 0 = none any more: it is about to be deleted. */
  __be32 gateway;
  /* The device by which the pod is routed, with EGW_OPENING till a program has taken a packet; 0 = not known yet. */
  __u32 ifindex;
  /* enum egw_nat_state */
  __u8 state;
  __u8 zero[7];
};

#define EGW_OPENING 0x80000000

/* On a client node: what may begin a connection has come by the device by which its pod is routed, and the stack has it. */
struct egw_opening {
  /* bpf_ktime_get_boot_ns; 0 = the connection has begun. */
  __u64 seen;
  __u32 ifindex;
  __u8 zero[4];
};

/* What has been seen of a connection, by either direction. */
enum egw_nat_state {
  EGW_NAT_ANSWERED = 1,
  EGW_NAT_FIN_OUT = 2,
  EGW_NAT_FIN_IN = 4,
  EGW_NAT_RESET = 8,
  /* A packet came more than a second after one before it: more than one exchange. */
  EGW_NAT_LASTING = 16,
  /* A RST by the pod, or as the first answer: nobody goes on, while a RST from outside may be anybody's. */
  EGW_NAT_CLOSED = 32,
};

/* A node's tunnel device by its underlay address, and the other way round (the last two bytes of the key are 0). */
struct egw_mac {
  __u8 bytes[6];
  __u8 zero[2];
};

/*
 * On a gateway node: a translation, by the tuple as the pod sends it; or a port that the stack has given out, by the tuple
 * as it leaves.
 */
struct egw_nat {
  /* bpf_ktime_get_boot_ns */
  __u64 seen;
  __be32 egress_ip;
  /* The client node from which it came, and to which answers go; 0 = the stack's. */
  __be32 client;
  __be16 port;
  __u8 state;
  __u8 zero;
  struct egw_mac client_mac;
  __u8 tail[4];
};

/* What a device's pod is to gateway pods (seed 000). */
enum egw_egress {
  EGRESS_CLIENT = 1,
  EGRESS_GATEWAY = 2,
};

/* The kinds of connections around a gateway pod (seed 000), by who began them and whom they ask. */
enum egw_kind {
  /* Client pod -> outside. */
  EGW_CT_A = 1,
  /* Client node -> gateway pod, the tunnel's UDP; or the other way round, where answers come by the tunnel. */
  EGW_CT_B,
  /* Gateway pod -> outside. */
  EGW_CT_C,
};

/* Sides of a connection that may send and be sent to. */
enum egw_side {
  /* Who began it. */
  EGW_SIDE_SOURCE = 1,
  EGW_SIDE_DESTINATION = 2,
};

/* A connection around a gateway pod, by the tuple of whoever began it. */
struct egw_connection {
  /* bpf_ktime_get_boot_ns */
  __u64 seen;
  /* Of CT-A: the gateway pod. */
  __be32 gateway;
  /* Where it was seen first: the device, and what `egress_flags` are there (0 = a device of the node). */
  __u32 ifindex;
  __u8 begun;
  /* enum egw_kind */
  __u8 kind;
  /* enum egw_side */
  __u8 sides;
  /* enum egw_nat_state */
  __u8 state;
  __u8 zero[4];
};

/* What a trace says of a packet: the hook where it was, and its connection. */
struct egw_event {
  /* bpf_ktime_get_boot_ns */
  __u64 at;
  __u32 ifindex;
  /* enum egw_hook */
  __u8 hook;
  /* enum egw_kind */
  __u8 kind;
  /* A miss: the connection is known from now on. */
  __u8 is_created;
  __u8 is_answer;
  /* Of the connection. */
  struct egw_tuple tuple;
};

/* What a program has said of a packet to those behind it, in the class of its mark. */
#define EGW_MARK_CLASS 0xff000000
/* A program has decided on it. */
#define EGW_MARK_DONE 0x14000000
/* Its source is not routed by the device by which it comes, and that is right (seed 000: SKIP_RPF). */
#define EGW_MARK_SKIP_RPF 0x16000000
/* The same, and conntrack does not know what it answers: it is none of conntrack's. */
#define EGW_MARK_UNTRACKED 0x17000000

/* A program where it is attached. */
enum egw_hook {
  EGW_HOOK_FROM_POD,
  EGW_HOOK_TO_TUNNEL,
  EGW_HOOK_FROM_GATEWAY,
  EGW_HOOK_FROM_CLIENT,
  EGW_HOOK_FROM_OUTSIDE,
  EGW_HOOK_TO_OUTSIDE,
  EGW_HOOK_UPLINK_CLIENT,
  EGW_HOOK_UPLINK_GATEWAY,
  EGW_HOOK_FROM_WORKLOAD,
  EGW_HOOK_TO_WORKLOAD,
  EGW_HOOK_FROM_NETWORK,
  EGW_HOOK_TO_NETWORK,
  EGW_HOOKS,
};

/* The way out of a program. The name is what counters are shown by. */
enum egw_verdict {
  EGW_NOT_IPV4,
  EGW_NOT_SELECTED,
  EGW_EXCLUDED,
  EGW_TO_TUNNEL,
  /* Encapsulated by the tunnel device. */
  EGW_TO_TUNNEL_DEVICE,
  EGW_TO_POD,
  EGW_TO_OUTSIDE,
  /* Of a connection around a gateway pod, or one that the stack sends to a gateway node: one that is known, or known from now on. */
  EGW_CONNECTION_HIT,
  EGW_CONNECTION_NEW,
  /* Left to the stack, which has the same policies. */
  EGW_STACK_OPTIONS,
  EGW_STACK_FRAGMENT,
  EGW_STACK_PROTOCOL,
  EGW_STACK_TOO_BIG,
  EGW_STACK_MID_FLOW,
  EGW_STACK_UNKNOWN_FLOW,
  EGW_STACK_NO_ROUTE,
  EGW_STACK_TTL,
  /* It does not come by the device by which its source is routed. */
  EGW_STACK_OTHER_DEVICE,
  /* Its gateway is this node. */
  EGW_STACK_OWN_NODE,
  /* Its policy has no gateway, and it may have been open before; or it goes to another node than a gateway's. */
  EGW_STACK_NO_GATEWAY,
  /* No program has taken a packet of the other direction yet. */
  EGW_STACK_ONE_WAY,
  /* Dropped. */
  EGW_DROP_SHORT,
  EGW_DROP_NO_GATEWAY,
  EGW_DROP_NO_EGRESS_IP,
  EGW_DROP_NOT_ADMITTED,
  EGW_DROP_NO_PORT,
  EGW_DROP_MAP_FULL,
  /* The stack has given it the port of a translation. */
  EGW_DROP_PORT_TAKEN,
  /* A gateway pod has sent it with a source that it may not have. */
  EGW_DROP_OTHER_SOURCE,
  EGW_VERDICTS,
};

/* For the object's BTF alone: the maps are declared by sizes, so that bpftool shows their bytes as they are. */
struct egw_layout {
  struct egw_policy_key policy_key;
  struct egw_policy policy;
  struct egw_source_key source_key;
  struct egw_tuple tuple;
  struct egw_flow flow;
  struct egw_opening opening;
  struct egw_mac mac;
  struct egw_nat nat;
  struct egw_connection connection;
  struct egw_event event;
  enum egw_hook hook;
  enum egw_verdict verdict;
  enum egw_egress egress;
  enum egw_kind kind;
  enum egw_side side;
  enum egw_nat_state state;
};

#endif
