import { NAT_STATE, placesOf, MAPS as SHAPES } from "../kernel/bpf-layout";
import { CLASS_NODE, ROLE_ANSWER } from "../model/mark";
import { MAPS } from "./bpf-maps";

/** Seconds without a packet, after which an entry is nobody's: as conntrack's own, but for TCP's last five days. */
const SILENT = { tcp: 432000, udp: 120, icmp: 30 } as const;
/** The same of a TCP connection that both sides have ended. */
const ENDED = 120;

const { answered, fin_out, fin_in, reset, lasting, closed } = NAT_STATE;
const tuple = placesOf("egw_tuple", 0);
const flow = placesOf("egw_flow", sizeOfKey("egw_flows"));
const nat = placesOf("egw_nat", sizeOfKey("egw_nat_out"));

function sizeOfKey(map: string): number {
  return SHAPES[map]?.key ?? 0;
}
/** A value of zeros. */
const none = (map: string): string => "00".repeat(SHAPES[map]?.value ?? 0);

/** awk: defines uptime(), seconds since boot by the clock of the programs (/proc/uptime may be a container's): when this awk began. */
export const UPTIME = `
    function uptime(  line, w) { getline line < "/proc/self/stat"; sub(/.*[)] /, "", line); split(line, w, " "); return w[20] / 100 }`;

/** awk: the mark of the node with the index `i`. */
export const MARK_OF_I = `${CLASS_NODE} + int(i / 64) * 65536 + i % 64 * 256`;
/** Where the MAC of a node's tunnel device has its index: two bytes, as a port. */
export const INDEX_IN_MAC = 4;

/** awk: members of `hex`, by the place of their first byte. */
export const READ_MEMBERS = `
    function byte(at) { return (index(DIGITS, substr(hex, 2 * at + 1, 1)) - 1) * 16 + index(DIGITS, substr(hex, 2 * at + 2, 1)) - 1 }
    function address(at) { return byte(at) "." byte(at + 1) "." byte(at + 2) "." byte(at + 3) }
    function port(at) { return byte(at) * 256 + byte(at + 1) }
    function number(at, bytes,  i, sum) { for (i = bytes - 1; i >= 0; i--) sum = sum * 256 + byte(at + i); return sum }
    BEGIN { DIGITS = "0123456789abcdef" }`;

/**
 * egw_flows FILE (lines of `cutLines`) prints what the programs carry as `conntrack -L` prints connections, each with the map and the key of its
 * entries behind `bpf=`: on the node of the pod by the mark of its gateway node, on the gateway node by its egress IP (`egress=IP:PORT`).
 * One that has ended long ago has 0 seconds left. With a second argument ports of the stack are printed too. egw_cut_flows ends those whose keys are in $T/cut-flows.
 */
export const FLOW_FUNCTIONS = `
egw_flows() {
  for m in egw_flows egw_nat_out; do
    [ ! -e $BPF/${MAPS}/$m ] || egw_entries $m || echo unread $m
  done | LC_ALL=C awk -v cuts="$1" -v all="$2" '${READ_MEMBERS}${UPTIME}
    function has(state, bits) { return int(state / bits) % 2 }
    function mark_of(i) { return ${MARK_OF_I} }
    # lifetime() of the programs (on gateway nodes a second more): what is past it has no port any more, another connection may have that.
    function lifetime(proto, state) {
      if (proto == "tcp" && has(state, ${closed})) return 10
      if (proto == "tcp" && (has(state, ${reset}) || !has(state, ${answered}))) return ENDED
      if (proto == "tcp" && has(state, ${fin_out})) return has(state, ${fin_in}) ? ENDED : 3600
      if (proto == "udp" && !(has(state, ${answered}) && has(state, ${lasting}))) return 30
      return SILENT[proto]
    }
    function print_entry(  isFlow, proto, ended, opens, left, state, src, dst, ports, back, seen_as, mark, device) {
      isFlow = $1 == "egw_flows"
      hex = $2 $3
      proto = PROTOCOL[byte(${tuple.protocol})]
      if (proto == "") return
      state = byte(isFlow ? ${flow.state} : ${nat.state})
      ended = proto == "tcp" && (has(state, ${reset}) || has(state, ${fin_out}) && has(state, ${fin_in}))
      opens = isFlow && number(${flow.ifindex}, 4) >= 2147483648
      left = isFlow && proto == "tcp" ? ended || opens ? ENDED : SILENT[proto] : lifetime(proto, state) + !isFlow
      left = left - now + number(isFlow ? ${flow.seen} : ${nat.seen}, 8) / 1000000000
      # Programs carry what is TCP however long it was silent.
      if (left <= 0 && !(isFlow && proto == "tcp")) return
      left = left < 0 ? 0 : int(left)
      src = seen_as = address(${tuple.source}); dst = address(${tuple.destination})
      if (isFlow) {
        gateway = address(${flow.gateway})
        if (gateway == "0.0.0.0") return
        mark = of[gateway] + 0
        device = number(${flow.ifindex}, 4)
        device = " gateway=" gateway (opens ? " opening" : "") " ifindex=" device % 2147483648
      } else {
        if (address(${nat.client}) == "0.0.0.0" && !all) return
        seen_as = address(${nat.egress_ip})
        mark = ${ROLE_ANSWER} + mark_of(port(${nat.client_mac + INDEX_IN_MAC}))
        device = " egress=" seen_as ":" port(${nat.port}) " answered=" has(state, ${answered})
      }
      ports = proto == "icmp" ? "type=8 code=0 id=" port(${tuple.source_port}) : "sport=" port(${tuple.source_port}) " dport=" port(${tuple.destination_port})
      back = proto == "icmp" ? "type=0 code=0 id=" port(${tuple.source_port}) : "sport=" port(${tuple.destination_port}) " dport=" port(${tuple.source_port})
      print proto, byte(${tuple.protocol}), left (proto == "tcp" ? ended ? " TIME_WAIT" : " ESTABLISHED" : ""), "src=" src, "dst=" dst, ports, "src=" dst, "dst=" seen_as, back, "mark=" mark device, "bpf=" $1 ":" $2 (isFlow ? "" : ":" member(${tuple.destination}, 4) member(${nat.egress_ip}, 4) member(${tuple.destination_port}, 2) member(${nat.port}, 2) member(${tuple.protocol}, 1) "000000")
    }
    function member(at, bytes) { return substr(hex, 2 * at + 1, 2 * bytes) }
    BEGIN {
      PROTOCOL[6] = "tcp"; PROTOCOL[17] = "udp"; PROTOCOL[1] = "icmp"
      ENDED = ${ENDED}; SILENT["tcp"] = ${SILENT.tcp}; SILENT["udp"] = ${SILENT.udp}; SILENT["icmp"] = ${SILENT.icmp}
      now = uptime()
      while ((getline line < cuts) > 0) { split(line, w, " "); if (w[1] == "cut" && w[2] == "mark") { split(w[3], m, "/"); of[w[5]] = m[1] } }
    }
    $1 == "unread" { print "the entries of " $2 " can not be read" > "/dev/stderr"; unread = 1; next }
    { print_entry() }
    END { exit unread }'
}
egw_cut_flows() {
  [ -s $T/cut-flows ] || return 0
  egw_drop_lines $T/cut-flows > $T/cut-batch && egw_drop $T/cut-batch && return 0
  # One that has gone by itself ends a batch. So each is put there first, with a value that is none.
  egw_drop_lines $T/cut-flows anew > $T/cut-batch && egw_drop $T/cut-batch
}
egw_drop() { $egw_limit bpftool batch file $1 >/dev/null 2>&1; }
egw_drop_lines() {
  awk -v maps=$BPF/${MAPS} -v anew="$2" '
    function words(hex,  i, text) { for (i = 1; i < length(hex); i += 2) text = text " " substr(hex, i, 2); return text }
    function drop(map, hex) {
      if (anew) print "map update pinned " maps "/" map " key hex" words(hex) " value hex" words(NONE[map])
      print "map delete pinned " maps "/" map " key hex" words(hex)
    }
    BEGIN { ${["egw_flows", "egw_nat_out", "egw_nat_in"].map((map) => `NONE["${map}"] = "${none(map)}"`).join("; ")} }
    # Where the stack has the connection already, it may have the port that has no owner.
    { n = split($1, f, ":"); if (n > 2) drop("egw_nat_in", f[3]); drop(f[1], f[2]) }' $1
}
`;
