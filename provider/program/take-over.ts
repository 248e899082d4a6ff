import { NAT_STATE } from "../kernel/bpf-layout";
import { CLASS_NODE, ROLE_ANSWER, ROLE_CLUSTER } from "../model/mark";
import { READ_LINE } from "./conntrack-line";
import { UPTIME } from "./cut-flows";

const { answered, fin_out, fin_in, reset, lasting, closed } = NAT_STATE;
/** What programs would have seen of a connection of which conntrack says that. */
const STATES = Object.entries({
  SYN_SENT: 0,
  SYN_RECV: answered,
  ESTABLISHED: answered,
  FIN_WAIT: answered + fin_out,
  CLOSE_WAIT: answered + fin_out,
  LAST_ACK: answered + fin_out + fin_in,
  TIME_WAIT: answered + fin_out + fin_in,
  CLOSE: answered + reset + closed,
})
  .map(([name, state]) => `STATE["${name}"] = ${state}`)
  .join("; ");

/**
 * Where programs begin to translate on a gateway node, they know the ports that conntrack has given: else another pod would get the port of a
 * connection that is silent just then, and its answers. What has come by the tunnel the programs carry from then on; what else has an
 * egress IP keeps its port as the stack's. Echoes begin anew with each request. What lives in the maps already stays as it is.
 *
 * egw_begin TOOL FILE runs the tool with the file. Where that attaches from_client and it was not, or has an egress IP for one that is: ports
 * first, which are nobody else's then, and datagrams; then the file; then the other half of TCP connections, of which each goes over both ways
 * at once (conntrack would take what follows for invalid if it saw one way alone); then what has begun meanwhile; then what lets the
 * stack have no port of theirs, to_outside or the egress IP for it; and at last conntrack forgets them. The same where to_outside alone was gone.
 */
export const TAKE_OVER_FUNCTIONS = `
egw_begin() {
  sed -n 's/^update egw_egress_ips \\([^ ]*\\) .*/egw_egress_ips \\1/p' "$2" > $T/taken-ips
  if [ "$1" = egw_filters ] && egw_comes "$2"; then last=' egress to_outside'
  elif [ "$1" = egw_bpf_entries ] && [ -s $T/taken-ips ] && egw_translates; then last='^update egw_egress_ips '
  else $1 < "$2"; return; fi
  rm -f $T/taken-names
  grep -e "$last" "$2" > $T/taken-last; grep -ve "$last" "$2" > $T/taken-rest
  # In an undo nothing is a reason to stop.
  { egw_take || [ -n "$undoing" ]; } && $1 < $T/taken-rest && { egw_take_tcp && egw_take && egw_take_tcp || [ -n "$undoing" ]; } && $1 < $T/taken-last && { egw_forget_taken || [ -n "$undoing" ]; }
}
egw_translates() { egw_runs egw.vxlan ingress from_client; }
# What an undo puts back had given up what it carried, or a part of it.
egw_comes() {
  if [ -n "$undoing" ]; then grep -q '^restore [^ ]* ingress from_client$' "$1"; return; fi
  grep -q '^attach [^ ]* ingress from_client ' "$1" && ! egw_translates && return
  # Without it the stack has had the ports to itself, and what a batch that was killed gave back.
  sed -n 's/^attach \\([^ ]*\\) egress to_outside .*/\\1/p' "$1" | while read -r dev; do egw_runs $dev egress to_outside || echo $dev; done | grep -q .
}
egw_take_tcp() { egw_bpf_entries < $T/taken-tcp >/dev/null; }
# What conntrack would keep for days of what it sees no more: another policy may give the same ports another way till then. Not before all
# stands that keeps the stack off their ports.
egw_forget_taken() { [ ! -e $T/taken-names ] || egw_forget $T/taken-names; }
egw_take() {
  : > $T/taken-tcp
  egw_taken > $T/taken || { tail -n 3 $T/taken-err >&2; return 1; }
  egw_bpf_entries < $T/taken >/dev/null
}
# Lines of egw_bpf_entries; the other half of TCP connections in $T/taken-tcp.
egw_taken() {
  {
    ip -4 neigh show dev egw.vxlan nud permanent && ip -4 route show table all dev egw.vxlan &&
      if [ -s $T/taken-ips ]; then cat $T/taken-ips; else egw_entries egw_egress_ips; fi &&
      egw_entries egw_nat_in && egw_flows /dev/null all > $T/taken-lives && sed -n 's/.* bpf=egw_nat_out:\\([0-9a-f]*\\):.*/lives \\1/p' $T/taken-lives && conntrack -L || echo unread
  } 2> $T/taken-err | LC_ALL=C awk -v tcp=$T/taken-tcp -v names=$T/taken-names '${READ_LINE}${UPTIME}
    function address(text,  p) { split(text, p, "."); return sprintf("%02x%02x%02x%02x", p[1], p[2], p[3], p[4]) }
    function tuple(src, dst, sport, dport) { return src dst sprintf("%04x%04x%02x000000", sport, dport, PROTOCOL[$1]) }
    # In nanoseconds, as the maps have it.
    function now(  i, left, text) { for (left = int(uptime() * 1000000000); i++ < 8; left = int(left / 256)) text = text sprintf("%02x", left % 256); return text }
    function take(key, client, mac,  state, line) {
      state = $1 == "tcp" ? STATE[$4] : / \\[UNREPLIED\\] / ? 0 : / \\[ASSURED\\] / ? ${answered + lasting} : ${answered}
      line = "update egw_nat_out " key " " SEEN address(ip) client sprintf("%04x%02x00", port, state) (mac ? mac : "000000000000") "000000000000"
      print "update egw_nat_in", answer, key
      if ($1 == "tcp" && mac) print line > tcp
      else print line
    }
    BEGIN { PROTOCOL["tcp"] = 6; PROTOCOL["udp"] = 17; ${STATES}; SEEN = now() }
    $1 == "unread" { exit 1 }
    $2 == "lladdr" { gsub(/:/, "", $3); mac[$1] = $3; next }
    / encap ip / {
      underlay = via = ""
      for (i = 1; i < NF; i++) { if ($i == "dst") underlay = $(i + 1); if ($i == "via") via = $(i + 1) }
      if (via in mac) client[mac[via]] = address(underlay)
      next
    }
    $1 == "egw_egress_ips" { isEgress[$2]; next }
    # A translation that has ended stays till its place is needed.
    $1 == "lives" { lives[$2]; next }
    # Of a port of the stack the owner is what leaves with it.
    $1 == "egw_nat_in" { owner[$2] = $3; next }
    $1 in PROTOCOL {
      read_line()
      ip = reply["dst"]; port = reply["dport"]; mark = orig["mark"] + 0
      if (!(address(ip) in isEgress)) next
      to = address(orig["dst"]); own = tuple(address(ip), to, port, orig["dport"]); key = tuple(address(orig["src"]), to, orig["sport"], orig["dport"])
      answer = tuple(to, address(ip), orig["dport"], port)
      # Class and role of a connection that has come by the tunnel, and the MAC of the node that its index names.
      by = int(mark / 16777216) == ${CLASS_NODE / 0x1000000} && (mark % 256 == ${ROLE_ANSWER} || mark % 256 == ${ROLE_CLUSTER}) ? sprintf("66260000%04x", int(mark / 65536) % 256 * 64 + int(mark / 256) % 64) : ""
      # One half alone is what a batch has left that did not come to its end; so is what is there and in conntrack.
      isOthers = answer in owner && owner[answer] in lives && owner[answer] != own && owner[answer] != key
      if (by in client && !isOthers) print "|-p " $1 " -s " orig["src"] " -d " orig["dst"] " --sport " orig["sport"] " --dport " orig["dport"] >> names
      if (isOthers || key in lives) next
      if (by in client) take(key, client[by], by)
      else if (!(own in lives)) take(own, "00000000", "")
    }'
}
`;
