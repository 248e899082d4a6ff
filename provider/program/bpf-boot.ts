import { OBJECTS } from "../kernel/bpf-layout";
import { turnOf } from "../kernel/tc-filter";

/** sed: from what is shown of a program to the line that loads it. */
const LOAD_LINES = Object.entries(OBJECTS)
  .map(([name, { maps }]) => `-e 's/^program \\(${name} [^ ]* [^ ]* [^ ]*\\) .*/load \\1 ${maps.join()}/p'`)
  .join(" ");
const TURNS = Object.values(OBJECTS)
  .flatMap(({ programs }) => programs.map((program) => `turn["egw-${program}"] = ${turnOf(program)}`))
  .join("; ");
/** awk: the same of a filter, behind its turn: as a batch has them. */
const ATTACH_LINES = `
    BEGIN { ${TURNS} }
    $1 == "filter" && $4 ~ /^egw-/ { print turn[$4], $2, $3, substr($4, 5), $5, $6 }`;

/** Shell functions that save what a boot needs to have maps, programs and filters again, and make them of it. */
export const BPF_BOOT_FUNCTIONS = `
# What makes all of it again at boot: the objects (those that this batch brought, and of the others what FILE has), then what is shown.
egw_save_bpf() {
  for o in $T/object-*.devices; do
    [ -f "$o" ] || continue
    o=\${o%.devices}; n=\${o##*/object-}
    echo "object \${n%-*} \${n##*-} $(tr ' \\n' '=,' < $o.devices) $(gzip -c $o | base64 | tr -d '\\n')"
  done > $T/objects
  grep -s '^object ' $1 >> $T/objects
  awk 'NR == FNR { if ($1 == "program") wanted[$2, $3]; next } ($2, $3) in wanted { print; delete wanted[$2, $3] }' $T/bpf $T/objects
  grep -v '^@@' $T/bpf
}
# Does that. FILE is what egw_save_bpf printed.
egw_load_bpf() {
  grep '^object ' $1 | while read -r word name hash devices bytes; do
    o=$T/object-$name-$hash
    echo $bytes | base64 -d | gzip -dc > $o && echo $devices | tr '=,' ' \\n' | sed '/^$/d' > $o.devices
  done
  sed -n 's/^map /create /p' $1 | egw_bpf_maps &&
    sed -n 's/^entry /update /p' $1 | egw_bpf_entries &&
    sed -n ${LOAD_LINES} $1 | egw_bpf_programs &&
    egw_filters_in_turn attach $1 | egw_filters
}
# Takes away what that has attached before it failed: some programs without the others would give out ports that nothing keeps the stack off.
egw_unload_bpf() { egw_filters_in_turn detach $1 -r | egw_filters; }
egw_filters_in_turn() { awk '${ATTACH_LINES}' $2 | sort -s $3 -k 1,1 | sed "s/^[0-9]/$1/"; }
`;
