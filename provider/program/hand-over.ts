import { placesOf, sizeOf } from "../kernel/bpf-layout";
import { MAPS } from "./bpf-maps";
import { READ_LINE } from "./conntrack-line";
import { INDEX_IN_MAC, MARK_OF_I, READ_MEMBERS } from "./cut-flows";
import { OWN_PORT_FUNCTIONS } from "./own-ports";

/** Where a peer's entry has the last bytes of its MAC, which are its node's index. */
const INDEX_AT = sizeOf("address") + INDEX_IN_MAC;

/** Where the digits of a tuple have its protocol, counted from 1. */
const PROTOCOL_AT = 2 * placesOf("egw_tuple", 0).protocol + 1;
const BY = "^delete egw_(peers|egress_ips) ";
const BESIDE = "^detach [^ ]* egress (to_tunnel|to_outside)$";

/**
 * What programs carry goes to the stack where they don't carry it any more, each connection on the path that it is on, be its pod selected
 * by now or not. Conntrack has seen only some of each, so that it would take the rest for invalid; while the program stands it sees none, so
 * nothing passes between the end of an entry and that of its successor. Nor does it see one way of a TCP connection alone, whose
 * acknowledgements of the other way it would take for invalid: its flow goes while all filters stand that ask for it.
 *
 * egw_hand_over TOOL FILE runs the tool with the file, and hands over what that ends: where from_pod goes from a device, the flows of the pods
 * behind it; where a gateway node is no peer any more, the flows to it; where from_client goes, the translations, or where the stack has
 * an egress IP alone, those to it, each with its port. In an undo a connection that can't be put in is no reason to stop.
 */
export const HAND_OVER_FUNCTIONS = `${OWN_PORT_FUNCTIONS}
egw_hand_over() {
  if [ "$1" = egw_filters ]; then
    sed -n 's/^detach \\([^ ]*\\) [^ ]* from_pod$/\\1/p' "$2" | sort -u | while read -r d; do
      sed 's/^/ifindex=/' /sys/class/net/$d/ifindex 2>/dev/null
    done
    grep -q '^detach [^ ]* ingress from_client$' "$2" || { grep -q '^detach [^ ]* ingress uplink_gateway$' "$2" && ! egw_translates; } && echo role=gateway
  else
    sed -n -e 's/^delete egw_peers /gateway /p' -e 's/^delete egw_egress_ips /egress /p' "$2" | while read -r what key; do
      printf "$what=%d.%d.%d.%d\\n" $(echo $key | sed 's/../0x& /g')
    done
  fi > $T/given-up
  rm -f $T/given
  [ -s $T/given-up ] || { egw_begin $1 "$2"; return; }
  egw_give_back || [ -n "$undoing" ] || return 1
  if [ "$1" = egw_filters ]; then
    # First what learns flows, and what keeps the stack off the ports of translations. TCP goes while the others stand, both ways at once.
    grep -E '${BESIDE}' "$2" > $T/given-beside; grep -Ev '${BESIDE}' "$2" > $T/given-filters
    $1 < $T/given-beside && egw_given_back tcp && $1 < $T/given-filters && egw_given_back cut-first
  else
    # The stack goes on with them as soon as nothing learns them again.
    grep -Ev '${BY}' "$2" > $T/given-entries; grep -E '${BY}' "$2" > $T/given-by
    { [ ! -s $T/given-entries ] || $1 < $T/given-entries; } && egw_given_back && $1 < $T/given-by
  fi && rm -f $T/given-up
}
# The second time it is what began while the first one went on.
egw_give_back() {
  egw_paths > $T/given-paths && egw_give_late && egw_give_late && return 0
  # The program goes on; what is in conntrack already would outlive what it stands for.
  cat $T/given $T/given-late > $T/given-none 2>/dev/null; egw_forget $T/given-none
  return 1
}
egw_give_late() {
  egw_own_ports && egw_list_late && egw_forget $T/given-late && egw_has_room $T/given-late && egw_put_back $T/given-late && cat $T/given-late >> $T/given
}
# What is carried now: all that is to go, or the TCP of it (whose ports outside are nobody else's as long as programs give some), and what is not in conntrack yet.
egw_list_late() {
  egw_carried > $T/given-now || return 1
  : > $T/cut-flows
  awk -F '[|]' -v given=$T/given -v flows=$T/cut-flows -v tcp="$1" '
    BEGIN { while ((getline line < given) > 0) { split(line, w, "|"); if (w[2] != "") known[w[1]] } }
    { split($1, entry, ":"); if (!tcp) print $1 > flows; else if (substr(entry[2], ${PROTOCOL_AT}, 2) == "06") print entry[1] ":" entry[2] > flows; if (!($1 in known)) print }' $T/given-now > $T/given-late
}
# The flows go. Where a program goes on, those that it has taken meanwhile are put in first; else all others would wait for them.
egw_given_back() {
  egw_list_late $(echo $1 | grep tcp) || return 1
  [ "$1" != cut-first ] || { egw_cut_flows && rm -f $T/cut-flows; } || return 1
  egw_own_ports && egw_forget $T/given-late && egw_put_back $T/given-late || [ -n "$undoing" ] || return 1
  egw_cut_flows && rm -f $T/cut-flows
}
# Of a batch that was killed as it handed over: conntrack has the connections already where the program has gone.
egw_drop_left() {
  for d in $1; do
    n=$(grep -lx "\${d#ifindex=}" /sys/class/net/*/ifindex | cut -d / -f 5)
    [ -n "$n" ] && egw_runs $n ingress from_pod || echo $d
  done > $T/given-up.new
  mv $T/given-up.new $T/given-up
  [ ! -s $T/given-up ] || { : > $T/given-paths; egw_carried | cut -d '|' -f 1 > $T/cut-flows; egw_cut_flows; }
  rm -f $T/given-up $T/cut-flows
}
# The mark of each gateway node, by what its tunnel device is called.
egw_paths() {
  { [ ! -e $BPF/${MAPS}/egw_peers ] || egw_entries egw_peers || echo unread; } | LC_ALL=C awk '${READ_MEMBERS}
    $1 == "unread" { exit 1 }
    { hex = $2 $3; i = port(${INDEX_AT}); printf "cut mark %d/0 - %s\\n", ${MARK_OF_I}, address(0) }'
}
# Of each flow: its entry | how conntrack names it | how it is put in. (Before -u, conntrack 1.4.7 loses -m: the status comes in its place.)
egw_carried() {
  { egw_flows $T/given-paths || echo unread; } | awk -v going=$T/given-up '${READ_LINE}
    BEGIN { OPENS = 60; while ((getline what < going) > 0) isGoing[what] }
    $1 == "unread" { exit 1 }
    $NF in told { next }
    {
      read_line()
      isOut = "egress" in orig; split(orig["egress"], outside, ":")
      if (isOut ? !("role=gateway" in isGoing || ("egress=" outside[1]) in isGoing) : !(("ifindex=" orig["ifindex"]) in isGoing || ("gateway=" orig["gateway"]) in isGoing)) next
      told[$NF]
      way = "-p " $1 " -s " orig["src"] " -d " orig["dst"]
      back = " -r " orig["dst"] " -q " orig["src"]
      if ($1 == "icmp") { name = way " --icmp-id " orig["id"]; way = way " --icmp-type 8 --icmp-code 0 --icmp-id " orig["id"] }
      else {
        name = way = way " --sport " orig["sport"] " --dport " orig["dport"]
        way = way back " --reply-port-src " orig["dport"] " --reply-port-dst " orig["sport"] ($1 == "tcp" ? " --state " $4 : "")
      }
      if (isOut) {
        # An echo begins anew with each request, and what was never answered with its next packet.
        print orig["bpf"] ($1 != "icmp" && orig["answered"] + 0 && $3 > 0 ? "|" name "|-I " way " --src-nat " orig["egress"] " -t " $3 " -u ASSURED,SEEN_REPLY -m " orig["mark"] : "||")
        next
      }
      # Without a device the stack alone has carried it; what has ended long ago belongs to nobody.
      opens = $(NF - 2) == "opening"
      if (orig["ifindex"] + 0 < 1 || $3 < 1 || (opens && $1 != "tcp")) { print orig["bpf"] "||"; next }
      # As conntrack sees what opens it may go on with the answer to the first packet, or with what follows that.
      if (opens) { sub(/ESTABLISHED/, "SYN_RECV", way); $3 = OPENS }
      print orig["bpf"] "|" name "|" (orig["mark"] + 0 ? "-I " way " -t " $3 " -u " (opens ? "" : "ASSURED,") "SEEN_REPLY -m " orig["mark"] : "")
    }'
}
# Some is left for what begins: conntrack lets go of nothing that is assured.
egw_room() {
  n=/proc/sys/net/netfilter/nf_conntrack; max=$(cat \${n}_max)
  echo $((max - max / 16 - $(cat \${n}_count)))
}
egw_has_room() {
  wanted=$(grep -c '| *-I' $1); room=$(egw_room)
  [ $wanted = 0 ] || [ $wanted -le $room ] || [ "$(cat /proc/sys/net/netfilter/nf_conntrack_max)" = 0 ] && return 0
  echo "$wanted connections that programs carry have to go to conntrack, which has room for $room: net.netfilter.nf_conntrack_max has to be larger" >&2
  return 1
}
# Each deletion walks the whole table. So one is called for all of a path that have a source, or a source and a destination, where all are in the list.
# Gone as well is whoever has the port outside of one in the list: what programs have carried since, and the port of what they have not.
egw_forget() {
  [ -s $1 ] || return 0
  { conntrack -L 2>/dev/null || echo unread; } | awk -v list=$1 '${READ_LINE}
    function outside(proto, remote, ip, sport, dport) { return proto " " remote " " ip " " sport " " dport }
    BEGIN {
      while ((getline line < list) > 0) {
        split(line, w, "|")
        if (w[2] == "") continue
        listed[w[2]]
        n = split(w[3], option, " ")
        for (i = 1; i < n; i++) word[option[i]] = option[i + 1]
        if (split(word["--src-nat"], at, ":") == 2) taken[outside(word["-p"], word["-d"], at[1], word["--dport"], at[2])]
        delete word["--src-nat"]
      }
    }
    /^unread/ { print "conntrack can not be read" > "/dev/stderr"; unread = 1; exit 1 }
    {
      read_line()
      mark = "mark" in orig ? orig["mark"] : 0
      source = "-m " mark " -q " reply["dst"] " -s " orig["src"]; pair = source " -d " orig["dst"]
      there[source]++; there[pair]++
      name = "-p " $1 " -s " orig["src"] " -d " orig["dst"] ($1 == "icmp" ? " --icmp-id " orig["id"] : " --sport " orig["sport"] " --dport " orig["dport"])
      if (!(name in listed) && !(outside($1, reply["src"], reply["dst"], reply["sport"], reply["dport"]) in taken) || name in of) next
      of[name] = source; with[name] = pair; going[source]++; going[pair]++
    }
    END {
      if (unread) exit 1
      for (name in of) {
        line = going[of[name]] == there[of[name]] ? of[name] : going[with[name]] == there[with[name]] ? with[name] : name
        if (!(line in told)) print line
        told[line]
      }
    }' > $T/given-gone || return 1
  while read -r line; do egw_delete $line >/dev/null || return 1; done < $T/given-gone
}
# All in one process, which stops at the first that is there by now: that goes as well.
egw_put_back() {
  sed -n 's/.*| *-I/-I/p' $1 > $T/given-anew
  # Before 1.4.7 there is no such option.
  tries="1 2"; conntrack -R /dev/null >/dev/null 2>&1 || tries=
  for n in $tries; do
    [ -s $T/given-anew ] && ! conntrack -R $T/given-anew >/dev/null 2>&1 || return 0
    egw_forget $1 || return 1
  done
  egw_put_in $T/given-anew
}
`;
