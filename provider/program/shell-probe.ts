import { BPF_PROBE_FUNCTIONS } from "./bpf";
import { FILE_FUNCTIONS } from "./files";
import { HOOKS_FUNCTIONS } from "./hooks";

/** The metric by which addresses are known that devices of others are lent. */
const LENT = 3839;

/**
 * Shell functions that print what is ours on a node, normalised: no counters, no interface numbers, nothing that moves by itself.
 * POSIX sh and the awk of any distribution. Foreign rules are printed only where they stand on the wrong side of a jump of ours.
 */
export const PROBE_FUNCTIONS = `
egw_iptables() {
  iptables-save 2>/dev/null | awk '
    function flush_builtin(  c, i, n, f, l, r) {
      for (c in count) {
        n = count[c]; f = 0; l = n + 1
        for (i = 1; i <= n; i++) {
          r = rule[c, i]
          if (r !~ / -[jg] EGRESSGATEWAY-[^ ]*$/) continue
          if (r ~ / -[jg] EGRESSGATEWAY-KEEP$/ || (table == "nat" && c == "PREROUTING")) { if (i < l) l = i } else f = i
        }
        for (i = 1; i <= n; i++) if (i <= f || i >= l) out[++outs] = rule[c, i]
      }
      split("", count); split("", rule)
    }
    /^#/ { next }
    /^\\*/ { table = substr($1, 2); outs = 0; split("", out); next }
    /^COMMIT/ { flush_builtin(); if (outs > 0) { print "*" table; for (i = 1; i <= outs; i++) print out[i] } next }
    /^:EGRESSGATEWAY-/ { out[++outs] = $1 " -"; next }
    /^-A EGRESSGATEWAY-/ { out[++outs] = $0; next }
    /^-A (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) / { rule[$2, ++count[$2]] = $0; next }
  '
}
# The tables of legs are ours whole, whoever put a route there; elsewhere only what bears our protocol number is.
egw_routes() {
  awk -v node=$D/node.json '
    BEGIN {
      getline json < node
      if (match(json, /"tables":[{][^}]*[}]/)) n = split(substr(json, RSTART + 10, RLENGTH - 11), legs, ",")
      for (i = 1; i <= n; i++) { sub(/.*:/, "", legs[i]); ours[legs[i]] }
    }
    { t = ""; for (i = 1; i < NF; i++) if ($i == "table") t = $(i + 1) }
    / proto 38( |$)/ || (t in ours) { gsub(/\\\\/, ""); print }'
}
# Routing tables that have a route of others, or that an ip rule of others leads to.
egw_tables_of_others() {
  { ip -4 -N route show table all | awk '!/ proto 38( |$)/ { for (i = 1; i < NF; i++) if ($i == "table") print $(i + 1) }'; ip -4 -N rule show | awk '!/proto 38/ { for (i = 1; i < NF; i++) if ($i == "lookup") print $(i + 1) }'; } | sort -u
}
egw_kernel() {
  echo @@link; ip -d -o link show dev egw.vxlan 2>/dev/null | sed 's/^[0-9]*:/0:/; s/ [a-z]*_slave .*//'
  echo @@sysctl; for f in /proc/sys/net/ipv4/conf/egw.vxlan/rp_filter /proc/sys/net/ipv4/conf/egw.vxlan/forwarding; do [ -r $f ] && echo "\${f#/proc/sys/} = $(cat $f)"; done
  echo @@address; ip -4 -o addr show | grep -E '^[0-9]+: egw\\.vxlan |:egw(\\\\| )| metric 3838 ' | sed 's/^[0-9]*:/0:/; s/_lft [0-9]*sec/_lft limited/g' | LC_ALL=C sort -s -k 2,2
  echo @@neighbour; ip -4 neigh show dev egw.vxlan nud permanent 2>/dev/null | sort
  echo @@route; ip -4 -N -o route show table all 2>/dev/null | egw_routes | sort
  echo @@ip-rule; ip -4 -N rule show 2>/dev/null | grep ' proto 38 *$'
  echo @@iptables; egw_iptables
}
egw_ipset() {
  echo @@ipset; ipset save 2>/dev/null | LC_ALL=C awk '
    $1 == "create" {
      dynamic = / timeout [1-9]/; ours = $2 ~ /^egw-/
      if (ours) { t = ""; for (i = 4; i < NF; i++) if ($i == "timeout" || $i == "maxelem") t = t " " $i " " $(i + 1); print "create " $2 " " $3 t (/ counters( |$)/ ? " counters" : "") (/ comment( |$)/ ? " comment" : "") }
      next
    }
    ours && !dynamic { print }' | LC_ALL=C sort
}
${HOOKS_FUNCTIONS}
${BPF_PROBE_FUNCTIONS}
# What a device without an address is lent, since its loose filter would be a strict one.
egw_lent() { ip -4 -o addr show dev $1 2>/dev/null | sed -n 's/^.* inet \\([0-9.]*\\)[/ ].* metric ${LENT} .*/\\1/p'; }
# Of the devices whose filter by the way back we loosened what it is now, and those where it is strict.
egw_loosened() {
  echo @@loosened
  grep -so '"loosened":{[^}]*}' $D/node.json | grep -o '"[A-Za-z0-9_.-]*":"[01] 2[ 0-9.]*"' | cut -d '"' -f 2 | while read -r d; do
    f=/proc/sys/net/ipv4/conf/$d/rp_filter
    [ -r $f ] && echo "\${f#/proc/sys/} = $(cat $f) $(egw_lent $d)" | sed 's/ $//'
  done
  echo @@host-strict
  awk '
    { split(FILENAME, part, "/"); d = part[7] }
    d == "all" { all = $1; next }
    d != "default" { own[d] = $1 }
    END { for (d in own) if ((own[d] > all ? own[d] : all) == 1) print d, own[d] }' /proc/sys/net/ipv4/conf/*/rp_filter | sort
}
# IPv4 policies that any packet may meet, and that do something to it: not those of an interface, or of a mark.
egw_has_ipsec() {
  awk '
    function tell() { if (out && does && !own) found = 1; out = does = own = 0 }
    /^[^ \t]/ { tell(); isOther = $2 ~ /:/ }
    $1 == "dir" && $2 == "out" && !isOther { out = 1 }
    $1 == "tmpl" || / action block / { does = 1 }
    $1 == "if_id" || ($1 == "mark" && $2 !~ /^(0|0x0)[/]/) { own = 1 }
    END { tell(); exit !found }'
}
egw_facts() {
  echo @@facts
  echo "kernel $(uname -r)"
  echo "hostname $(uname -n)"
  echo "netns $EGW_NETNS"
  echo "iptables $(iptables -V 2>/dev/null)"
  echo "src_valid_mark $(cat /proc/sys/net/ipv4/conf/all/src_valid_mark)"
  echo "ip_forward $(cat /proc/sys/net/ipv4/ip_forward)"
  for t in ip iptables-restore iptables-save ipset conntrack awk sha256sum flock timeout; do command -v $t >/dev/null 2>&1 || echo "no-tool $t"; done
  # Where no gateway has programs, a node can do without these.
  for t in tc base64 gzip; do command -v $t >/dev/null 2>&1 || echo "no-tool $t"; done
  # Some distributions have one of that name which only says that there is none for this kernel.
  bpftool version >/dev/null 2>&1 || { echo "no-tool bpftool"; [ ! -d $BPF ] || echo "unfit programs-unread"; }
  grep -qs '^[^ ]* /sys/fs/bpf bpf ' /proc/mounts || echo "unfit bpffs"
  case $(uname -m) in s390x | ppc64) echo "unfit big-endian" ;; esac
  # Asked where the kernel's part is there: to ask would load it.
  awk '$2 == 6 { found = 1 } END { exit !found }' /proc/net/netlink && ip xfrm policy 2>/dev/null | egw_has_ipsec && echo "unfit ipsec"
  # Of several tools of that name only the one of iputils tells by its exit code that an address is free.
  arping -V 2>/dev/null | grep -q iputils || echo "no-tool arping"
  iptables-save -t filter 2>/dev/null | awk '/^:(INPUT|FORWARD|OUTPUT) DROP/ { print "policy-drop " substr($1, 2) } /^-A EGRESS/ { exit }'
  echo @@host-addresses; ip -4 -o addr show | awk '!/ metric ${LENT} / { print $2, $4 }'
  echo @@host-links; ip -o link show | awk '{
    m = ""; t = "?"; for (i = 4; i <= NF; i++) if ($i == "mtu") m = $(i + 1); else if ($i ~ /link[/]/) { t = $i; sub(/.*[/]/, "", t) }
    if (m != "") { sub(/@.*|:$/, "", $2); print $2, m, t } }'
  echo @@host-routes; ip -4 -N route show table main | awk '! / via / || ++far <= 2000'
  echo @@host-rules; { ip -4 -N route show table all; ip -4 -N rule show; } | awk '
    !/^[0-9]+:/ { if (/(^| )default / && !/^throw/) { t = 254; for (i = 1; i < NF; i++) if ($i == "table") t = $(i + 1); out[t] } next }
    !/proto 38/ { t = ""; for (i = 1; i < NF; i++) if ($i == "lookup") t = $(i + 1); if (t == "" || t in out) print }'
  echo @@host-tables; egw_tables_of_others
  egw_loosened
  echo @@host-udp; awk '$2 ~ /:/ { sub(/.*:/, "", $2); print $2 }' /proc/net/udp /proc/net/udp6 2>/dev/null | sort -u
  egw_of_others
  echo @@verdicts; egw_verdicts
}
egw_manifest() {
  echo @@generation; egw_generation
  echo @@node; cat $D/node.json 2>/dev/null; echo
  echo @@claims; egw_claims
}
egw_claims() {
  for f in $D/claims/*; do egw_is_in_place "$f" && echo "$f"; done | egw_files_as_lines
}
# A line for each file that is named in the input: its name without ending, a space, all that is in it.
egw_files_as_lines() {
  awk '{ f = n = $0; gsub(/.*\\/|\\.json$/, "", n); t = ""; while ((getline l < f) > 0) t = t l; close(f); print n " " t }'
}
# A section that is left out stands for what the manifest compiles to, so that has to be as the last apply left it.
egw_manifest_digest() {
  { egw_claims; cat $D/node.json 2>/dev/null; } | sha256sum
}
egw_registry() {
  for r in $D/registry/*; do
    case \${r##*/} in *[!a-z0-9-]*) continue ;; esac
    echo "@@registry/\${r##*/}"
    for f in "$r"/*; do [ -f "$f" ] && echo "$f"; done | egw_files_as_lines
  done
}
`;

/** The metric of a route that is there for a moment only: behind every other one. */
const CLOSED = 4294967294;

/** egw_lend SYSCTL ADDRESS, or a `-`: the device of a setting has this address of ours, or none. */
export const LEND_FUNCTION = `
egw_lend() {
  lender=\${1#net/ipv4/conf/}; lender=\${lender%/*}
  [ $2 = - ] || ip addr replace $2/32 dev $lender metric ${LENT} || return 1
  for lent in $(egw_lent $lender); do [ $lent = $2 ] || egw_unlend $lender $lent || return 1; done
}
# With the last address of a device the kernel takes its routes and neighbours along (fib_disable_ip, arp_ifdown): they are put back at once.
# Meanwhile nothing goes where the next best route leads.
egw_unlend() {
  kept=$(egw_behind $1)
  closed=$(echo "$kept" | awk '$2 == "add" && $1 == "route" { t = ""; for (i = 1; i < NF; i++) if ($i == "table") t = " table " $(i + 1); print "blackhole " $3 t " metric ${CLOSED} proto 38" }' | sort -u)
  {
    echo "$closed" | sed '/./s/^/route add /'
    printf '%s\\n' "addr del $2/32 dev $1" "$kept"
    echo "$closed" | sed '/./s/^/route del /'
  } | ip -4 -force -batch - >/dev/null 2>&1
  egw_lent $1 | grep -qxF $2 && { echo "device $1 did not give $2 back" >&2; return 1; }
  lost=$(printf '%s\\n' "$kept" | grep -vxF "$(egw_behind $1)")
  [ -z "$lost" ] || { echo "device $1 has lost: $lost" >&2; return 1; }
}
# What makes the routes by a device and its lasting neighbours, next hops before what is behind them.
egw_behind() {
  ip -4 -N route show table all dev $1 | awk -v d=$1 '
    / table 255( |$)/ { next }
    { sub(/ *$/, ""); gsub(/ (linkdown|dead)/, ""); line = "route add " $0 " dev " d }
    / via / { late[++n] = line; next }
    { print line }
    END { for (i = 1; i <= n; i++) print late[i] }'
  ip -4 neigh show nud permanent dev $1 | awk -v d=$1 '$2 == "lladdr" { print "neigh add " $1 " lladdr " $3 " dev " d " nud permanent" }'
  ip -4 neigh show proxy dev $1 | awk -v d=$1 '{ print "neigh add proxy " $1 " dev " d }'
}`;

/** Where a machine keeps what it has to remember; what its network namespaces have to is in `netns/NAME` there. */
export const STATE_DIRECTORY = "/var/lib/pulumi-egress";

/** Sets D to that of the node that is programmed, and UP to the folders above it that go with the last one in them. */
export const STATE = `D=${STATE_DIRECTORY} UP=
[ -z "$EGW_NETNS" ] || { UP="$D/netns $D"; D=$D/netns/$EGW_NETNS; }`;

/** Reads one node: its manifest, facts, digests of its files, and of our kernel objects what differs from what was there after the last apply. */
export function probeScript(compiler: string): string {
  return `${STATE}
${PROBE_FUNCTIONS}
${FILE_FUNCTIONS}
egw_main() {
  if [ -d $D ]; then exec 9<$D; flock -s -w 60 9 || { echo @@busy; exit 0; }; fi
  T=$(mktemp -d -p /run egw-probe.XXXXXX 2>/dev/null || mktemp -d) || exit 1
  egw_kernel | cat > $T/kernel && egw_ipset | cat > $T/ipset && egw_bpf | cat > $T/bpf || { echo "@@no-space \${T%/*}"; rm -rf $T; exit 0; }
  S=
  if [ "$(egw_manifest_digest)" != "$(cat $D/manifest 2>/dev/null)" ]; then echo @@manifest-changed
  elif [ "$(cat $D/compiler 2>/dev/null)" = ${compiler} ]; then S=$(cat $D/digest 2>/dev/null); fi
  for s in kernel ipset bpf; do
    d=$(sha256sum < $T/$s); d=\${d%% *}
    case " $S " in *" $s=$d "*) echo @@same-$s ;; *) cat $T/$s ;; esac
  done
  rm -rf $T
  egw_manifest; egw_files; egw_registry; egw_facts; echo @@end
}
egw_main
`;
}
