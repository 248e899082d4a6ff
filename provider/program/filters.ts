import { READ_FILTERS } from "./hooks";

/** Shell functions of a batch, and of a boot, that attach programs to TC hooks and detach them. */
export const FILTER_FUNCTIONS = `
# attach DEVICE DIRECTION PROGRAM OBJECT HASH, or detach, restore, keep DEVICE DIRECTION PROGRAM. Devices of pods come and go.
egw_filters() {
  while read -r verb dev dir program object hash; do
    i=$(cat /sys/class/net/$dev/ifindex 2>/dev/null) || continue
    case $verb in
      attach) egw_attach ;;
      detach) egw_keep_filters && egw_remove_filters && egw_unhook ;;
      restore) egw_attach_again ;;
    esac || egw_is_gone || return 1
  done
}
egw_attach() {
  egw_keep_filters && egw_hook && at=$(egw_filter_place) && egw_put_filter "$at" $BPF/$object-$hash-*/egw-$program && egw_remove_filters "$at"
}
egw_attach_again() {
  kept=
  for k in $BPF/gone-filters/$i-$dir-*/egw-$program; do
    [ -e $k ] || continue
    at=\${k%/*}; at=\${at##*-$dir-}
    egw_hook && egw_put_filter $at $k || return 1
    kept="$kept $at"
  done
  [ -z "$kept" ] || egw_remove_filters "$kept"
}
# Asked of the kernel, which answers when a device that is going is gone: its folder in /sys stays longer than its name.
egw_is_gone() { ! ip -o link show dev $dev 2>/dev/null | grep -q "^$i: "; }
# egw_put_filter PLACE PROGRAM. A place is PREFERENCE:HANDLE:PROTOCOL:MODE:CHAIN; in names of a BPF file system is no dot. Filters share a
# preference by their protocol: one of ours for another one goes.
egw_put_filter() {
  egw_own_filters | awk -v at="$1" 'BEGIN { split(at, to, ":") } { split($1, p, ":") } p[1] == to[1] && p[5] == to[5] && p[3] != to[3]' | egw_remove_places || return 1
  set -- $(echo $1 | tr ':,' ' .') $2
  $egw_limit tc filter replace dev $dev $dir chain $5 prio $1 handle $2 protocol $3 bpf \${4#plain} object-pinned $6
}
egw_filters_of_hook() { tc filter show dev $dev $dir 2>/dev/null; }
# Of all programs of ours: PLACE ID PROGRAM. A protocol without a name is shown in brackets, and is not taken in these.
egw_own_filters() {
  egw_filters_of_hook | awk '${READ_FILTERS}
    !read_filter(1) || !is_ours { next }
    {
      gsub(/[.]/, ",", protocol); gsub(/[][]/, "", protocol)
      print preference ":" handle ":" protocol ":" mode ":" chain, id, substr(name, 5)
    }'
}
# egw_runs DEVICE DIRECTION PROGRAM: whether the hook asks it of IPv4, and does what it says. One in another chain it does not ask.
egw_runs() (
  dev=$1 dir=$2
  egw_own_filters | grep -qE ":(all|ip):da:0 [^ ]* $3$"
)
# Those of this program, and what may have to go for it.
egw_keep_filters() {
  egw_own_filters | awk -v program=$program '$3 == program || $1 !~ /:all:/' | while read -r at id name; do
    k=$BPF/gone-filters/$i-$dir-$at
    [ -e $k/egw-$name ] || { mkdir -p $k && bpftool prog pin id $id $k/egw-$name; } || exit 1
  done
}
# egw_remove_filters [BUT]: those of this program, but for these places
egw_remove_filters() {
  egw_own_filters | awk -v but=" $1 " -v program=$program '$3 == program && !index(but, " " $1 " ")' | egw_remove_places
}
egw_remove_places() {
  while read -r at id name; do
    set -- $(echo $at | tr ':,' ' .')
    $egw_limit tc filter del dev $dev $dir chain $5 prio $1 handle $2 protocol $3 bpf || return 1
  done
}
# In front of what others have: at a preference before all of theirs, or where there is none, at the first one, where of filters
# the newest is asked first. What gets the rest of another program of ours stands behind that, and is put there before it.
# Before what comes first whatever we do none of ours can come.
egw_filter_place() {
  case $program in from_workload | to_workload | from_network | to_network) slot=-1 ;; from_outside) slot=2 ;; from_client | uplink_gateway) slot=1 ;; *) slot=0 ;; esac
  egw_filters_of_hook | awk -v own="egw-$program" -v slot=$slot '${READ_FILTERS}
    !read_filter(1) || chain != 0 { next }
    !is_ours && !is_first("") && (!front || preference < front) { front = preference }
    preference == 1 {
      used[handle]
      if (is_ours && name == own) { if (!ahead) stays = handle } else if (!is_ours || !slot) ahead = 1
    }
    END {
      base = front && front < 41 ? front - 3 : 38
      # Between what comes first and the rest four preferences are free.
      if ("" in last && base < last[""] + 2) base = last[""] + 2
      if ("" in last || base > 1) at = base + slot ":0x" (slot < 0 ? 9 : 1 + slot)
      else { for (n = 1; sprintf("0x%x", n) in used; n++); at = "1:" (stays != "" ? stays : sprintf("0x%x", n)) }
      print at ":all:da:0"
    }'
}
egw_hook() {
  tc qdisc show dev $dev | grep -q '^qdisc clsact ' && return 0
  mkdir -p $BPF/clsact/$i && $egw_limit tc qdisc add dev $dev clsact && return 0
  rmdir $BPF/clsact/$i; return 1
}
# A hook of ours goes with its last filter.
egw_unhook() {
  [ -d $BPF/clsact/$i ] && [ -z "$(tc filter show dev $dev ingress; tc filter show dev $dev egress)" ] || return 0
  $egw_limit tc qdisc del dev $dev clsact && rmdir $BPF/clsact/$i
}
`;
