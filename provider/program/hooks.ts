/**
 * awk: is_first() of each filter of others on a hook, in order: whether none of ours can come before it. So it is at the first preference, where it is no
 * BPF or for one protocol, since filters share a preference by both; and of what follows until four preferences are free. `last` has
 * where that ends.
 */
export const IS_FIRST = `
    function is_first(hook, preference, kind, protocol) {
      if (preference == 1 && (kind != "bpf" || protocol != "all")) last[hook] = 1
      else if (!(hook in last) || hook in room || preference - last[hook] > 4) { room[hook]; return 0 }
      last[hook] = preference
      return 1
    }`;

/** Shell functions that read the filters of a node's TC hooks, and print what others have there: their programs, and what leaves no room for ours. */
export const HOOKS_FUNCTIONS = `
# DEVICE DIRECTION KIND PREFERENCE PROTOCOL NAME ID MODE of each filter on a clsact, in the order in which a packet meets them. NAME, ID and
# MODE (\`da\`, or \`plain\`) are those of a BPF program, of others -; behind one where none of ours can come before it stands \`first\`.
egw_hooks() {
  clsacts=$(tc qdisc show 2>/dev/null | awk '
    { d = ""; for (i = 1; i < NF; i++) if ($i == "dev") d = $(i + 1) }
    $2 == "clsact" && d ~ /^[A-Za-z0-9_.-]+$/ && !/gress_block / { print d }')
  whole=; for try in 1 2 3; do filters=$(egw_filters_at_once) && whole=1 && break; done
  [ "$whole" ] || filters=$(egw_filters_one_by_one)
  echo "$filters" | awk '${IS_FIRST}
    $3 != "filter" { next }
    {
      k = p = protocol = h = id = ""; n = "-"; mode = "plain"
      for (i = 4; i < NF; i++) {
        if ($i == "protocol") protocol = $(i + 1)
        if ($i == "pref") { p = $(i + 1); k = $(i + 2) }
        if ($i == "handle" && h == "") { h = $(i + 1); if (k == "bpf") n = $(i + ($(i + 2) == "flowid" ? 4 : 2)) }
        if ($i == "id") id = $(i + 1)
      }
      # The first line of a preference stands for none.
      if (k == "bpf" && h == "") next
      if (/ direct-action( |$)/) mode = "da"
      sub(/:.*/, "", n); gsub(/[^A-Za-z0-9_.-]/, "?", n)
      if (n ~ /^$|^direct-action$|^(not_)?in_hw$|^skip_/) n = "?"
      print $1, $2, k, p, protocol, n, (id == "" ? "-" : id), (k == "bpf" ? mode : "-") (n !~ /^egw-/ && is_first($1 " " $2, p, k, protocol) ? " first" : "")
    }'
}
# The lines of tc, each behind DEVICE DIRECTION. One tc for all devices. It names none, so before the filters of each direction the clsact is
# shown; fails where a device has gone meanwhile.
egw_filters_at_once() {
  echo "$clsacts" | sed '/./s/.*/qdisc show dev &\\nfilter show dev & ingress\\nqdisc show dev &\\nfilter show dev & egress/' |
    tc -force -batch - 2>/dev/null | awk -v devices="$(echo $clsacts)" '
    BEGIN { n = split(devices, device, " ") }
    $1 == "qdisc" && $2 == "clsact" { at++; next }
    $1 == "filter" { print device[int((at + 1) / 2)], (at % 2 ? "ingress" : "egress"), $0 }
    END { exit at != 2 * n }'
}
egw_filters_one_by_one() {
  for d in $clsacts; do for w in ingress egress; do tc filter show dev $d $w 2>/dev/null | sed "s/^/$d $w /"; done; done
}
# DEVICE DIRECTION NAME of the programs of others, and \`first\` where no filter of ours can come before them: those, and what is attached by tcx.
egw_filters_of_others() {
  echo "$hooks" | awk '$3 == "bpf" && $6 !~ /^egw-/ { print $1, $2, $6 ($9 ? " first" : "") }'
  bpftool net show 2>/dev/null | awk '$2 ~ /^tcx.(ingress|egress)$/ && $3 !~ /^egw-/ {
    sub(/[(][0-9]+[)]$/, "", $1); sub(/.*[/]/, "", $2); sub(/:.*/, "", $3); gsub(/[^A-Za-z0-9_.-]/, "?", $3); print $1, $2, $3 " first" }'
}
# DEVICE DIRECTION WHAT: \`qdisc\` where one has the place of a clsact, or shares its filters with other devices; else their kind.
egw_hooks_taken() {
  tc qdisc show 2>/dev/null | awk '
    { d = ""; for (i = 1; i < NF; i++) if ($i == "dev") d = $(i + 1) }
    d ~ /^[A-Za-z0-9_.-]+$/ && ($2 == "ingress" || $2 == "clsact" && /gress_block /) { print d, "ingress qdisc" }'
  echo "$hooks" | awk '$3 != "bpf" && $3 ~ /^[a-z0-9]+$/ && !seen[$1, $2, $3]++ { print $1, $2, $3 }'
}
egw_of_others() {
  hooks=$(egw_hooks)
  echo @@host-filters; egw_filters_of_others
  echo @@host-taken; egw_hooks_taken
}
`;
