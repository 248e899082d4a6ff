import { CLASS_NODE, ROLE_ANSWER, ROLE_CLUSTER } from "../model/mark";

/** enum egw_nat_state of what conntrack says of a connection. */
const STATES = Object.entries({
  SYN_SENT: 0,
  SYN_RECV: 1,
  ESTABLISHED: 1,
  FIN_WAIT: 3,
  CLOSE_WAIT: 3,
  LAST_ACK: 7,
  TIME_WAIT: 7,
  CLOSE: 41,
})
  .map(([name, state]) => `STATE["${name}"] = ${state}`)
  .join("; ");

/**
 * Where programs begin to translate on a gateway node, they know the ports that conntrack has given: else another pod would get the port of a
 * connection that is silent just then, and its answers. What has come by the tunnel the programs carry from then on; what else has an
 * egress IP keeps its port as the stack's. Echoes begin anew with each request. What the maps have already stays as it is.
 *
 * egw_begin TOOL FILE runs the tool with the file. Where that attaches from_client and it was not, or has an egress IP for one that is: ports
 * first, which are nobody else's then, and datagrams; then the file; then the other half of TCP connections, of which each goes over both ways
 * at once (conntrack would take what follows for invalid if it saw one way alone); then what has begun meanwhile; and at last what lets the
 * stack have no port of theirs, to_outside or the egress IP for it.
 */
export const TAKE_OVER_FUNCTIONS = `
egw_begin() {
  sed -n 's/^update egw_egress_ips \\([^ ]*\\) .*/egw_egress_ips \\1/p' "$2" > $T/taken-ips
  if [ "$1" = egw_filters ] && egw_comes "$2"; then last=' egress to_outside'
  elif [ "$1" = egw_bpf_entries ] && [ -s $T/taken-ips ] && egw_translates; then last='^update egw_egress_ips '
  else $1 < "$2"; return; fi
  grep -e "$last" "$2" > $T/taken-last; grep -ve "$last" "$2" > $T/taken-rest
  # In an undo nothing is a reason to stop.
  { egw_take || [ -n "$undoing" ]; } && $1 < $T/taken-rest && { egw_take_tcp && egw_take && egw_take_tcp || [ -n "$undoing" ]; } && $1 < $T/taken-last
}
egw_translates() { tc filter show dev egw.vxlan ingress 2>/dev/null | grep -q ' egw-from_client:'; }
# What an undo puts back had given up what it carried, or a part of it.
egw_comes() {
  if [ -n "$undoing" ]; then grep -q '^restore [^ ]* ingress from_client$' "$1"
  else grep -q '^attach [^ ]* ingress from_client ' "$1" && ! egw_translates; fi
}
egw_take_tcp() { egw_bpf_entries < $T/taken-tcp >/dev/null; }
egw_take() {
  : > $T/taken-tcp
  egw_taken > $T/taken || { tail -n 3 $T/taken-err >&2; return 1; }
  egw_bpf_entries < $T/taken >/dev/null
}
# Lines of egw_bpf_entries; the other half of TCP connections in $T/taken-tcp.
egw_taken() {
  {
    ip -4 neigh show dev egw.vxlan nud permanent && ip -4 route show table all dev egw.vxlan &&
      if [ -s $T/taken-ips ]; then cat $T/taken-ips; else egw_entries egw_egress_ips; fi && egw_entries egw_nat_out && egw_entries egw_nat_in && conntrack -L || echo unread
  } 2> $T/taken-err | LC_ALL=C awk -v tcp=$T/taken-tcp '
    function address(text,  p) { split(text, p, "."); return sprintf("%02x%02x%02x%02x", p[1], p[2], p[3], p[4]) }
    function tuple(src, dst, sport, dport) { return src dst sprintf("%04x%04x%02x000000", sport, dport, PROTOCOL[$1]) }
    # The uptime in nanoseconds.
    function now(  i, left, text) { for (left = int(uptime * 1000000000); i++ < 8; left = int(left / 256)) text = text sprintf("%02x", left % 256); return text }
    function take(key, client, mac,  state, line) {
      state = $1 == "tcp" ? STATE[$4] : / \\[UNREPLIED\\] / ? 0 : / \\[ASSURED\\] / ? 17 : 1
      line = "update egw_nat_out " key " " SEEN address(ip) client sprintf("%04x%02x00", port, state) (mac ? mac : "000000000000") "000000000000"
      print "update egw_nat_in", answer, key
      if ($1 == "tcp" && mac) print line > tcp
      else print line
    }
    BEGIN { PROTOCOL["tcp"] = 6; PROTOCOL["udp"] = 17; ${STATES}; getline uptime < "/proc/uptime"; SEEN = now() }
    $1 == "unread" { exit 1 }
    $2 == "lladdr" { gsub(/:/, "", $3); mac[$1] = $3; next }
    / encap ip / {
      underlay = via = ""
      for (i = 1; i < NF; i++) { if ($i == "dst") underlay = $(i + 1); if ($i == "via") via = $(i + 1) }
      if (via in mac) client[mac[via]] = address(underlay)
      next
    }
    $1 == "egw_egress_ips" { isEgress[$2]; next }
    $1 == "egw_nat_out" { isThere[$2]; next }
    # Of a port of the stack the owner is what leaves with it.
    $1 == "egw_nat_in" { owner[$2] = $3; next }
    $1 in PROTOCOL {
      n = 0; delete dst; delete sport; delete dport; mark = 0
      for (i = 2; i <= NF; i++) {
        if ($i ~ /^src=/) src[++n] = substr($i, 5)
        else if ($i ~ /^dst=/) dst[n] = substr($i, 5)
        else if ($i ~ /^sport=/) sport[n] = substr($i, 7)
        else if ($i ~ /^dport=/) dport[n] = substr($i, 7)
        else if ($i ~ /^mark=/) mark = substr($i, 6) + 0
      }
      ip = dst[2]; port = dport[2]
      if (n < 2 || !(address(ip) in isEgress)) next
      to = address(dst[1]); own = tuple(address(ip), to, port, dport[1]); key = tuple(address(src[1]), to, sport[1], dport[1])
      answer = tuple(to, address(ip), dport[1], port)
      # One half alone is what a batch has left that did not come to its end.
      if (answer in owner && owner[answer] != own && owner[answer] != key || key in isThere) next
      # Class and role of a connection that has come by the tunnel, and the MAC of the node that its index names.
      by = int(mark / 16777216) == ${CLASS_NODE / 0x1000000} && (mark % 256 == ${ROLE_ANSWER} || mark % 256 == ${ROLE_CLUSTER}) ? sprintf("66260000%04x", int(mark / 65536) % 256 * 64 + int(mark / 256) % 64) : ""
      if (by in client) take(key, client[by], by)
      else if (!(own in isThere)) take(own, "00000000", "")
    }'
}
`;
