/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* A packet of BPF_PROG_TEST_RUN comes out of no tunnel: this one comes out of that of 192.168.0.101. */
#include "../../bpf/client.bpf.c"

SEC("tc")
int from_gateway_101(struct __sk_buff *skb) {
  struct bpf_tunnel_key key = {.tunnel_id = 4097, .remote_ipv4 = 0xc0a8000b, .local_ipv4 = 0xc0a80065};
  bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0);
  return answer_pod(skb);
}
