import { CLASS_NODE, ROLE_ANSWER } from "../model/mark";
import { MAPS } from "./bpf";

/** Seconds without a packet, after which an entry is nobody's: as conntrack's own, but for TCP's last five days. */
const SILENT = { tcp: 432000, udp: 120, icmp: 30 } as const;
/** The same of a TCP connection that both sides have ended. */
const ENDED = 120;

/**
 * egw_flows FILE (lines of `cutLines`) prints what the programs carry as `conntrack -L` prints connections, each with the map and the key of its
 * entries behind `bpf=`: on the node of the pod by the mark of its gateway node, on the gateway node by its egress IP.
 * egw_cut_flows ends those whose keys are in $T/cut-flows.
 */
export const FLOW_FUNCTIONS = `
egw_flows() {
  for f in $BPF/${MAPS}/egw_flows $BPF/${MAPS}/egw_nat_out; do
    [ -e $f ] && { echo "map \${f##*/}"; $egw_limit bpftool map dump pinned $f; }
  done 2>/dev/null | LC_ALL=C awk -v cuts="$1" '
    function byte(at) { return (index(DIGITS, substr(t[at], 1, 1)) - 1) * 16 + index(DIGITS, substr(t[at], 2, 1)) - 1 }
    function address(at) { return byte(at) "." byte(at + 1) "." byte(at + 2) "." byte(at + 3) }
    function port(at) { return byte(at) * 256 + byte(at + 1) }
    function seconds(at,  i, ns) { ns = 0; for (i = 7; i >= 0; i--) ns = ns * 256 + byte(at + i); return ns / 1000000000 }
    function key(  i, hex) { for (i = 1; i <= 16; i++) hex = hex t[i]; return hex }
    function print_entry(  proto, ended, left, src, dst, ports, back, seen_as, mark) {
      if (n < 32) return
      proto = byte(13) == 6 ? "tcp" : byte(13) == 17 ? "udp" : byte(13) == 1 ? "icmp" : ""
      # On the client node byte 33 says which ends a connection has come to: FIN by the pod 2, to it 4, a RST 8.
      ended = map == "egw_flows" && proto == "tcp" && (byte(33) >= 8 || byte(33) == 6)
      left = proto == "" ? 0 : int((ended ? ENDED : SILENT[proto]) - now + seconds(17))
      if (left < 1) return
      src = address(1); dst = address(5); seen_as = src
      if (map == "egw_flows") { mark = of[address(25)] + 0; if (address(25) == "0.0.0.0") return }
      else { mark = ${CLASS_NODE + ROLE_ANSWER}; seen_as = address(25); if (byte(29) + byte(30) + byte(31) + byte(32) == 0) return }
      ports = proto == "icmp" ? "type=8 code=0 id=" port(9) : "sport=" port(9) " dport=" port(11)
      back = proto == "icmp" ? "type=0 code=0 id=" port(9) : "sport=" port(11) " dport=" port(9)
      print proto, byte(13), left (proto == "tcp" ? ended ? " TIME_WAIT" : " ESTABLISHED" : ""), "src=" src, "dst=" dst, ports, "src=" dst, "dst=" seen_as, back, "mark=" mark (map == "egw_flows" ? (byte(32) > 127 ? " opening" : "") " ifindex=" byte(32) % 128 * 16777216 + byte(31) * 65536 + byte(30) * 256 + byte(29) : ""), "bpf=" map ":" key() (map == "egw_flows" ? "" : ":" t[5] t[6] t[7] t[8] t[25] t[26] t[27] t[28] t[11] t[12] t[33] t[34] t[13] "000000")
    }
    BEGIN {
      DIGITS = "0123456789abcdef"; ENDED = ${ENDED}; SILENT["tcp"] = ${SILENT.tcp}; SILENT["udp"] = ${SILENT.udp}; SILENT["icmp"] = ${SILENT.icmp}
      getline now < "/proc/uptime"; now += 0
      while ((getline line < cuts) > 0) { split(line, w, " "); if (w[1] == "cut" && w[2] == "mark") { split(w[3], m, "/"); of[w[5]] = m[1] } }
    }
    $1 == "map" { print_entry(); n = 0; map = $2; next }
    { for (i = 1; i <= NF; i++) { if ($i == "key:") { print_entry(); n = 0 } else if ($i ~ /^[0-9a-f][0-9a-f]$/) t[++n] = $i } }
    END { print_entry() }'
}
# FILE (lines of filters): where from_pod goes from devices, what it carries for the pods behind them goes to the stack, each connection on the
# path that it is on, be its pod selected by now or not. Conntrack has seen only some of each, so that it would take the rest for invalid; while
# the program stands it sees none, so nothing passes between the end of an entry and that of its successor.
egw_give_back() {
  awk '$1 == "detach" && $4 == "from_pod" { print $2 }' "$1" | sort -u | while read -r d; do
    cat /sys/class/net/$d/ifindex 2>/dev/null
  done > $T/given-devices
  : > $T/given
  [ -s $T/given-devices ] || return 0
  egw_carried > $T/given || return 1
  egw_forget < $T/given || return 1
  egw_put_in $T/given && return 0
  # The program goes on; what is in conntrack already would outlive what it stands for.
  egw_forget < $T/given
  return 1
}
egw_put_in() {
  sed -n 's/.*| *-I/-I/p' $1 > $T/given-anew
  conntrack -R $T/given-anew >/dev/null 2>&1 && return 0
  while read -r line; do
    conntrack $line >/dev/null 2> $T/err </dev/null || grep -q exists $T/err || { tail -n 3 $T/err >&2; return 1; }
  done < $T/given-anew
}
# The filters are gone: so are the flows. What the programs have taken behind that list goes the same way, as soon as may be.
egw_given_back() {
  [ -s $T/given-devices ] || return 0
  egw_carried > $T/given-now || return 1
  awk -F '[|]' -v given=$T/given -v flows=$T/cut-flows '
    BEGIN { while ((getline line < given) > 0) { split(line, w, "|"); if (w[2] != "") known[w[1]] } }
    { print $1 > flows; if (!($1 in known)) print }' $T/given-now > $T/given-late
  egw_forget < $T/given-late && egw_put_in $T/given-late && egw_cut_flows && rm -f $T/cut-flows
}
# Of each flow: its entry | how conntrack names it | how it is put in. (Before -u, conntrack 1.4.7 loses -m: the status comes in its place.)
egw_carried() {
  bpftool map dump pinned $BPF/${MAPS}/egw_peers 2>/dev/null | LC_ALL=C awk '
    function byte(at) { return (index(DIGITS, substr(t[at], 1, 1)) - 1) * 16 + index(DIGITS, substr(t[at], 2, 1)) - 1 }
    function print_entry(  index_of) {
      if (n < 10) return
      index_of = byte(9) * 256 + byte(10)
      printf "cut mark %d/0 - %d.%d.%d.%d\\n", ${CLASS_NODE} + int(index_of / 64) * 65536 + index_of % 64 * 256, byte(1), byte(2), byte(3), byte(4)
    }
    BEGIN { DIGITS = "0123456789abcdef" }
    { for (i = 1; i <= NF; i++) { if ($i == "key:") { print_entry(); n = 0 } else if ($i ~ /^[0-9a-f][0-9a-f]$/) t[++n] = $i } }
    END { print_entry() }' > $T/peer-marks
  egw_flows $T/peer-marks | awk -v devices=$T/given-devices '
    BEGIN { while ((getline d < devices) > 0) isGoing["ifindex=" d] }
    $(NF - 1) in isGoing {
      for (key in v) delete v[key]
      for (i = 2; i <= NF; i++) { k = $i; sub(/=.*/, "", k); if (!(k in v)) v[k] = substr($i, length(k) + 2) }
      way = "-p " $1 " -s " v["src"] " -d " v["dst"]
      back = " -r " v["dst"] " -q " v["src"]
      if ($1 == "icmp") { name = way " --icmp-id " v["id"]; way = way " --icmp-type 8 --icmp-code 0 --icmp-id " v["id"] }
      else {
        name = way = way " --sport " v["sport"] " --dport " v["dport"]
        way = way back " --reply-port-src " v["dport"] " --reply-port-dst " v["sport"] ($1 == "tcp" ? " --state " $4 : "")
      }
      # Of what just opens conntrack has seen all.
      if ($(NF - 2) == "opening") { print v["bpf"] "||"; next }
      print v["bpf"] "|" name "|" (v["mark"] + 0 ? "-I " way " -t " $3 " -u ASSURED,SEEN_REPLY -m " v["mark"] : "")
    }'
}
egw_forget() { cut -d '|' -f 2 | sed '/^$/d' | while read -r line; do egw_delete $line >/dev/null || exit 1; done; }
egw_cut_flows() {
  [ -s $T/cut-flows ] || return 0
  egw_drop_lines $T/cut-flows > $T/cut-batch && egw_drop $T/cut-batch && return 0
  # One that has gone by itself ends a batch. So each is put there first, with a value that is none.
  egw_drop_lines $T/cut-flows anew > $T/cut-batch && egw_drop $T/cut-batch
}
egw_drop() { $egw_limit bpftool batch file $1 >/dev/null 2>&1; }
egw_drop_lines() {
  awk -v maps=$BPF/${MAPS} -v anew="$2" '
    function drop(map, hex,  i, text, none) {
      for (i = 1; i < length(hex); i += 2) text = text " " substr(hex, i, 2)
      for (i = 1; i <= (map == "egw_nat_out" ? 32 : map == "egw_flows" ? 24 : 16); i++) none = none " 00"
      if (anew) print "map update pinned " maps "/" map " key hex" text " value hex" none
      print "map delete pinned " maps "/" map " key hex" text
    }
    { n = split($1, f, ":"); drop(f[1], f[2]); if (n > 2) drop("egw_nat_in", f[3]) }' $1
}
`;
