/** Shell functions that print what others have on the TC hooks of a node: their programs, and what leaves no room for ours. */
export const HOOKS_OF_OTHERS_FUNCTIONS = `
# DEVICE DIRECTION NAME, and \`tcx\` of what is attached by that.
egw_filters_of_others() {
  command -v bpftool >/dev/null 2>&1 || return 0
  bpftool net show 2>/dev/null | awk '$2 ~ /^(clsact|tcx).(ingress|egress)$/ && $3 !~ /^egw-/ {
    by = $2 ~ /^tcx/ ? " tcx" : ""
    sub(/[(][0-9]+[)]$/, "", $1); sub(/.*[/]/, "", $2); sub(/:.*/, "", $3); gsub(/[^A-Za-z0-9_.-]/, "?", $3); print $1, $2, $3 by }'
}
# DEVICE DIRECTION WHAT: \`qdisc\` where one has the place of a clsact, or shares its filters with other devices; else their kind.
egw_hooks_taken() {
  command -v tc >/dev/null 2>&1 || return 0
  for try in 1 2 3; do taken=$(egw_taken_now) && break; done
  echo "$taken" | sed '/^$/d'
}
# Fails where a device has gone meanwhile.
egw_taken_now() {
  hooks=$(tc qdisc show 2>/dev/null | awk '
    { d = ""; for (i = 1; i < NF; i++) if ($i == "dev") d = $(i + 1) }
    d !~ /^[A-Za-z0-9_.-]+$/ { next }
    $2 == "ingress" || $2 == "clsact" && /gress_block / { print d, "ingress qdisc"; next }
    $2 == "clsact" { print d }')
  echo "$hooks" | grep ' '
  clsacts=$(echo "$hooks" | grep -v ' ')
  # One tc for all. It names no device, so before the filters of each direction the clsact is shown.
  echo "$clsacts" | sed '/./s/.*/qdisc show dev &\\nfilter show dev & ingress\\nqdisc show dev &\\nfilter show dev & egress/' |
    tc -force -batch - 2>/dev/null | awk -v devices="$(echo $clsacts)" '
    BEGIN { n = split(devices, device, " ") }
    $1 == "qdisc" && $2 == "clsact" { at++; next }
    $1 == "filter" {
      for (i = 1; i < NF; i++) if ($i == "pref") { k = $(i + 2); break }
      hook = device[int((at + 1) / 2)] " " (at % 2 ? "ingress" : "egress") " " k
      if (k != "bpf" && k ~ /^[a-z0-9]+$/ && !(hook in found)) { found[hook]; lines = lines hook "\\n" }
    }
    END { printf "%s", lines; exit at != 2 * n }'
}
`;
