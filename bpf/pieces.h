/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
#ifndef EGW_PIECES_H
#define EGW_PIECES_H

#include "maps.h"
#include "packet.h"
#include "time.h"

/* Which packet a fragment is of (RFC 791). */
struct egw_piece_key {
  __be32 source;
  __be32 destination;
  __be16 id;
  __u8 protocol;
  __u8 zero;
};

/* The connection to which it belongs, by the tuple as its pod sends it. */
struct egw_piece {
  /* bpf_ktime_get_boot_ns, of its first fragment */
  __u64 seen;
  struct egw_tuple tuple;
};

/*
 * The stack knows nothing of a connection that the programs have, so what is in fragments goes the programs' way too: the first one
 * has the ports, and says for those behind it to which connection they belong. One that comes before the first is lost.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __uint(key_size, sizeof(struct egw_piece_key));
  __uint(value_size, sizeof(struct egw_piece));
} egw_pieces SEC(".maps");

/* As long as the kernel waits for the rest (ipfrag_time). */
#define PIECES_SECONDS 30

static __always_inline struct egw_piece_key piece_key(const struct packet *packet) {
  struct egw_piece_key key = {
      .source = packet->tuple.source,
      .destination = packet->tuple.destination,
      .id = packet->id,
      .protocol = packet->tuple.protocol,
  };
  return key;
}

/* What has the id of a first fragment was another packet's: this one may be the stack's, or nobody's. */
static __always_inline void forget_piece(const struct packet *packet) {
  if (!packet->is_piece || packet->is_later) return;
  struct egw_piece_key key = piece_key(packet);
  bpf_map_delete_elem(&egw_pieces, &key);
}

/* Notes of a first fragment to which connection it belongs. */
static __always_inline void note_piece(const struct packet *packet, const struct egw_tuple *tuple) {
  struct egw_piece_key key = piece_key(packet);
  struct egw_piece piece = {.seen = bpf_ktime_get_boot_ns(), .tuple = *tuple};
  bpf_map_update_elem(&egw_pieces, &key, &piece, BPF_ANY);
}

/* The connection of a later fragment. False where nobody knows it. */
static __always_inline bool find_piece(const struct packet *packet, struct egw_tuple *tuple) {
  struct egw_piece_key key = piece_key(packet);
  const struct egw_piece *piece = bpf_map_lookup_elem(&egw_pieces, &key);
  if (!piece || is_silent(piece->seen, PIECES_SECONDS, bpf_ktime_get_boot_ns())) return false;
  *tuple = piece->tuple;
  return true;
}

#endif
