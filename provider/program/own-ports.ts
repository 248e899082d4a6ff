import { placesOf } from "../kernel/bpf-layout";
import { MAPS } from "./bpf-maps";
import { READ_LINE } from "./conntrack-line";
import { READ_MEMBERS } from "./cut-flows";

const tuple = placesOf("egw_tuple", 0);
/** In what `egw_entries` prints, behind the key. */
const nat = placesOf("egw_nat", 16);

/**
 * Connections of the stack that leave by another port than conntrack has given them, since a pod's connection has that. Before conntrack gets
 * the pod's, it gets the port of these: egw_own_ports puts each in anew. `to_outside` knows them by both ports till answers are led to the
 * new one, which are as soon as conntrack shows it.
 */
export const OWN_PORT_FUNCTIONS = `
egw_own_ports() {
  grep -q -e role= -e egress= $T/given-up || return 0
  egw_find_own || return 1
  [ -s $T/own-list ] || return 0
  egw_bpf_entries < $T/own-first >/dev/null && egw_forget $T/own-list && egw_put_back $T/own-list && egw_find_own &&
    { [ ! -s $T/own-then ] || egw_bpf_entries < $T/own-then >/dev/null; }
}
egw_find_own() {
  rm -f $T/own-list $T/own-first $T/own-then
  { { [ ! -e $BPF/${MAPS}/egw_nat_out ] || egw_entries egw_nat_out; } && conntrack -L 2>/dev/null || echo unread; } | LC_ALL=C awk -v list=$T/own-list -v first=$T/own-first -v then=$T/own-then -v going=$T/given-up '${READ_LINE}${READ_MEMBERS}
    function member(at, bytes) { return substr(hex, 2 * at + 1, 2 * bytes) }
    BEGIN { while ((getline what < going) > 0) isGoing[what] }
    $1 == "unread" { print "what the stack translates can not be read" > "/dev/stderr"; exit 1 }
    $1 == "egw_nat_out" {
      hex = $2 $3
      if (!("role=gateway" in isGoing || ("egress=" address(${tuple.source})) in isGoing)) next
      if (address(${nat.client}) != "0.0.0.0" || member(${tuple.source_port}, 2) == member(${nat.port}, 2)) next
      way = byte(${tuple.protocol}) " " address(${tuple.source}) " " address(${tuple.destination}) " " port(${tuple.destination_port}) " "
      moved[way port(${tuple.source_port})] = port(${nat.port})
      own = substr($2, 1, ${2 * tuple.source_port}) member(${nat.port}, 2) substr($2, ${2 * tuple.destination_port + 1})
      known[way port(${tuple.source_port})] = "update egw_nat_out " own " " $3
      # Put in again before it goes: of what has gone by itself a deletion fails.
      leads[way port(${nat.port})] = "update egw_nat_in " member(${tuple.destination}, 4) member(${tuple.source}, 4) member(${tuple.destination_port}, 2) member(${nat.port}, 2) substr($2, ${2 * tuple.protocol + 1}) " " own "\\nupdate egw_nat_out " $2 " " $3 "\\ndelete egw_nat_out " $2
      next
    }
    {
      read_line()
      way = $2 " " reply["dst"] " " orig["dst"] " " orig["dport"] " " reply["dport"]
      if (!(way in moved)) { if (way in leads) print leads[way] > then; next }
      name = "-p " $1 " -s " orig["src"] " -d " orig["dst"] " --sport " orig["sport"] " --dport " orig["dport"]
      print "|" name "|-I " name " -r " orig["dst"] " -q " orig["src"] " --reply-port-src " orig["dport"] " --reply-port-dst " orig["sport"] " --src-nat " reply["dst"] ":" moved[way] ($1 == "tcp" ? " --state " $4 : "") " -t " $3 " -u " (/UNREPLIED/ ? "UNSET" : "ASSURED,SEEN_REPLY") " -m " ("mark" in orig ? orig["mark"] : 0) > list
      print known[way] > first
    }'
}
`;
