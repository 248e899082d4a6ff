/**
 * awk, of filters as `tc filter show` has them. read_filter() reads a line from that word on; false for what is none: a heading, a further
 * line. NAME, ID and MODE (`da`, or `plain`) are those of a BPF program, of others `-`; what a hook runs is in chain 0.
 * is_first() of each filter of others in it, in order: whether none of ours can come before it. So it is at the first preference, where it is no
 * BPF or for one protocol, since filters share a preference by both; and of what follows until four preferences are free. `last` has
 * where that ends.
 */
export const READ_FILTERS = `
    function read_filter(from,  i) {
      if ($from != "filter") return 0
      preference = kind = protocol = handle = ""; chain = 0; name = id = mode = "-"; is_ours = 0
      for (i = from + 1; i < NF && handle == ""; i++)
        if ($i == "protocol") protocol = $++i
        else if ($i == "pref") { preference = $++i; kind = $++i }
        else if ($i == "chain") chain = $++i
        else if ($i == "handle") handle = $++i
      if (kind != "bpf") return 1
      # The first line of a preference stands for none.
      if (handle == "") return 0
      if ($i == "flowid") i += 2
      name = $i; is_ours = name ~ /^egw-[a-z_]+:/; mode = / direct-action( |$)/ ? "da" : "plain"
      for (i++; i < NF && id == "-"; i++) if ($i == "id") id = $(i + 1)
      sub(/:.*/, "", name); gsub(/[^A-Za-z0-9_.-]/, "?", name)
      if (!is_ours && name ~ /^$|^egw-|^direct-action$|^(not_)?in_hw$|^skip_/) name = "?"
      return 1
    }
    function is_first(hook) {
      if (preference == 1 && (kind != "bpf" || protocol != "all")) last[hook] = 1
      else if (!(hook in last) || hook in room || preference - last[hook] > 4) { room[hook]; return 0 }
      last[hook] = preference
      return 1
    }`;

/** Shell functions that read the filters of a node's TC hooks, and print what others have there: their programs, and what leaves no room for ours. */
export const HOOKS_FUNCTIONS = `
# DEVICE KIND of each qdisc that has the hooks of a device: \`clsact\`, \`shared\` where that shares its filters, \`ingress\`.
egw_qdiscs() {
  qdiscs=$(tc qdisc show 2>/dev/null) || return 1
  echo "$qdiscs" | awk '$2 == "clsact" || $2 == "ingress" {
    for (i = 3; i < NF && $i != "dev"; i++) ;
    if ($(i + 1) ~ /^[A-Za-z0-9_.-]+$/) print $(i + 1), ($2 == "clsact" && / (in|e)gress_block / ? "shared" : $2)
  }'
}
# DEVICE DIRECTION KIND PREFERENCE PROTOCOL NAME ID MODE CHAIN of each filter on a clsact, in the order in which a packet meets them; behind
# one where none of ours can come before it stands \`first\`.
egw_hooks() {
  clsacts=$(egw_qdiscs | sed -n 's/ clsact$//p')
  whole=; for try in 1 2 3; do filters=$(egw_filters_at_once) && whole=1 && break; done
  [ "$whole" ] || filters=$(egw_filters_one_by_one)
  echo "$filters" | awk '${READ_FILTERS}
    !read_filter(3) || (kind == "bpf" && chain != 0 && !is_ours) { next }
    { print $1, $2, kind, preference, protocol, name, id, mode, chain (chain == 0 && !is_ours && is_first($1 " " $2) ? " first" : "") }'
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
  echo "$hooks" | awk '$3 == "bpf" && $6 !~ /^egw-/ { print $1, $2, $6 ($10 ? " first" : "") }'
  bpftool net show 2>/dev/null | awk '$2 ~ /^tcx.(ingress|egress)$/ && $3 !~ /^egw-/ {
    sub(/[(][0-9]+[)]$/, "", $1); sub(/.*[/]/, "", $2); sub(/:.*/, "", $3); gsub(/[^A-Za-z0-9_.-]/, "?", $3); print $1, $2, $3 " first" }'
}
# DEVICE DIRECTION WHAT: \`qdisc\` where one has the place of a clsact, \`clsact\` where that shares its filters with other devices; else their kind.
egw_hooks_taken() {
  egw_qdiscs | sed -n -e 's/ ingress$/ ingress qdisc/p' -e 's/ shared$/ ingress clsact/p'
  echo "$hooks" | awk '$3 != "bpf" && $3 ~ /^[a-z0-9]+$/ && !seen[$1, $2, $3]++ { print $1, $2, $3 }'
}
egw_of_others() {
  hooks=$(egw_hooks)
  echo @@host-filters; egw_filters_of_others
  echo @@host-taken; egw_hooks_taken
}
`;
