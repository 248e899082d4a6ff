import type { Cut } from "../compile/cuts";
import type { Step } from "../reconcile/step";
import { BPF_APPLY_FUNCTIONS } from "./bpf";
import { CUT_FUNCTION, cutLines } from "./cut";
import { FILE_FUNCTIONS, SAVED, SUMS, SYSTEMD } from "./files";
import { hereDocument, NO_SPACE, PLACE_FUNCTION, whole } from "./frame";
import { RESTORE_PROGRAM, RESTORE_UNIT } from "./restore";
import { PROBE_FUNCTIONS, STATE_DIRECTORY } from "./shell-probe";

/** One batch: all of it is done, or none. */
export interface Batch {
  readonly expectedGeneration: number;
  readonly steps: readonly Step[];
  /** Routing tables that it takes for new legs: stale where somebody else uses one of them by now. */
  readonly newTables: readonly number[];
  /** Objects of programs that its steps load. */
  readonly objects: readonly ProgramObject[];
  /** Claim files to write (JSON of one line) and to remove, by owner id. */
  readonly claims: { readonly write: Readonly<Record<string, string>>; readonly remove: readonly string[] };
  /** The manifest's own file; undefined removes the whole state directory but for the registry. */
  readonly node: string | undefined;
  readonly compiler: string;
  readonly cuts: readonly Cut[];
  /** On a node that is given up: its own address, to which what was cut and never spoke since is led. */
  readonly bury: string | undefined;
  /** Egress addresses to announce by gratuitous ARP. */
  readonly announce: readonly { readonly device: string; readonly address: string }[];
  /** `ip -batch` lines that make all links, addresses, neighbours, routes and rules from nothing, for boot. */
  readonly restoreIp: readonly string[];
  /** True on a node that does not have this version's restore program, or some file not as it was left. */
  readonly installRestore: boolean;
}

/** An object with its constants, but for the numbers of devices, which only the node knows. */
export interface ProgramObject {
  readonly name: string;
  /** Base64 of what gzip made of it. */
  readonly lines: readonly string[];
  /** Where in its file the number of the tunnel or the uplink belongs. */
  readonly devices: readonly { readonly device: "tunnel" | "uplink"; readonly at: number }[];
}

const OWNER_ID = /^[A-Za-z0-9-]{1,64}$/;
const DEVICE = /^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,14}$/;
const OBJECT = /^[a-z]{1,16}$/;
const TABLE = /^[1-9][0-9]{0,9}$/;
const ADDRESS = /^[0-9]{1,3}(\.[0-9]{1,3}){3}$/;

/** What is put into the text of a script is a word of a known form; everything else travels as data. */
function checked(pattern: RegExp, text: string, what: string): string {
  if (!pattern.test(text)) throw new Error(`not ${what}: ${JSON.stringify(text)}`);
  return text;
}

/** The shell program of a batch. It answers with the sections of the node as it is afterwards. */
export function applyScript(batch: Batch): string {
  const documents: string[] = [];
  const file = (name: string, lines: readonly string[]): void => {
    documents.push(whole(`cat > $T/${name}`, hereDocument(lines, documents.length)));
  };
  batch.steps.forEach((step, i) => {
    file(`${i}.in`, step.input);
    file(`${i}.undo`, step.undo);
  });
  for (const [id, json] of Object.entries(batch.claims.write)) {
    file(`claim.${checked(OWNER_ID, id, "an owner id")}`, [json]);
  }
  for (const { name, lines, devices } of batch.objects) {
    const object = `$T/object-${checked(OBJECT, name, "an object")}`;
    documents.push(whole(`{ base64 -d | gzip -dc > ${object}; }`, hereDocument(lines, documents.length)));
    file(
      `object-${name}.devices`,
      devices.map(({ device, at }) => `${device} ${at}`),
    );
  }
  if (batch.node !== undefined) file("node", [batch.node]);
  const before = batch.steps.filter(({ isAfterCuts }) => !isAfterCuts).length;
  const tools = batch.steps.map(({ tool }, i) => `${i}:${tool}`);
  // Connections end when the new rules stand: what can't be ended is a step that failed.
  if (batch.cuts.length > 0) {
    file(`${tools.length}.in`, batch.cuts.flatMap(cutLines));
    tools.splice(before, 0, `${tools.length}:conntrack`);
  }
  file("restore-ip", batch.restoreIp);
  if (batch.installRestore) {
    file("restore-run", RESTORE_PROGRAM.trimEnd().split("\n"));
    file("restore-unit", RESTORE_UNIT.trimEnd().split("\n"));
  }
  const removed = batch.claims.remove.map((id) => `rm -f $D/claims/${checked(OWNER_ID, id, "an owner id")}.json`);
  const announced = batch.announce.map(
    ({ device, address }) =>
      `egw_announce ${checked(DEVICE, device, "a device")} ${checked(ADDRESS, address, "an address")}`,
  );
  const tables = batch.newTables.map((table) => checked(TABLE, String(table), "a routing table"));
  const next = batch.expectedGeneration + 1;
  return `D=${STATE_DIRECTORY}
${PROBE_FUNCTIONS}
${FILE_FUNCTIONS}
${APPLY_FUNCTIONS}
${BPF_APPLY_FUNCTIONS}
${CUT_FUNCTION}
egw_main() {
umask 077
T=$D/batch
[ -d $D/claims ] || rm -f $D/claims
mkdir -p $D/claims || egw_full
exec 9<$D
flock -w 60 9 || { echo @@busy; exit 0; }
# Who removed the last claim meanwhile took the directory away.
[ $D -ef /proc/self/fd/9 ] || { echo @@stale; exit 0; }
if [ "$(egw_generation)" != ${batch.expectedGeneration} ]; then echo @@stale; exit 0; fi
${tables.length === 0 ? "" : `if egw_tables_of_others | grep -qxE '${tables.join("|")}'; then rmdir $D/claims $D 2>/dev/null; echo @@stale; exit 0; fi`}
rm -rf $T; mkdir $T || egw_full
TMPDIR=$T
${documents.join("\n")}
${tools.length === 0 ? "" : "egw_look > $T/before || egw_full\n"}head -c ${RESERVE} /dev/zero > $T/reserve || egw_full
${batch.bury === undefined ? "" : `egw_bury ${checked(ADDRESS, batch.bury, "an address")} || egw_unburied`}
${tools.length === 0 ? "" : `egw_run "${tools.join(" ")}" || exit 0`}
rm -f $T/reserve
egw_tidy_bpf
for f in $T/claim.*; do [ -f "$f" ] && egw_place "$f" "$D/claims/\${f##*/claim.}.json"; done
${removed.join("\n")}
${batch.node === undefined ? "rm -f $D/node.json" : "egw_place $T/node $D/node.json"}
egw_kernel > $T/kernel; egw_ipset > $T/ipset; egw_bpf > $T/bpf
${batch.node === undefined ? FORGET : REMEMBER.replaceAll("@NEXT@", String(next)).replaceAll("@COMPILER@", batch.compiler)}
${announced.join("\n")}
echo @@applied; cat $T/kernel $T/ipset $T/bpf; egw_manifest; egw_files; egw_registry; egw_facts; echo @@end
rm -rf $T${batch.node === undefined ? "; rmdir $D 2>/dev/null || :" : ""}
}
egw_main
`;
}

/** The manifest is written last: a node that died before it shows the difference as drift. */
const REMEMBER = `echo "kernel=$(sha256sum < $T/kernel | cut -d' ' -f1) ipset=$(sha256sum < $T/ipset | cut -d' ' -f1) bpf=$(sha256sum < $T/bpf | cut -d' ' -f1)" | egw_put digest
egw_manifest_digest | egw_put manifest
echo @COMPILER@ | egw_put compiler
egw_save_restore
echo @NEXT@ | egw_put generation`;

const FORGET = `rm -rf $D/claims $D/node.json $D/digest $D/manifest $D/compiler $D/generation $D/restore
egw_remove_unit
rmdir $D/registry 2>/dev/null`;

/** Bytes that are kept free while a batch runs, for what it writes when its steps are done. */
const RESERVE = 1048576;

const APPLY_FUNCTIONS = `
egw_full() { rm -rf $T; rmdir $D/claims $D 2>/dev/null; ${NO_SPACE}; exit 0; }
egw_unburied() { echo @@failed; echo "0 conntrack"; head -c 4000 $T/err; echo; echo @@rolled-back; rm -rf $T; echo @@end; exit 0; }
egw_limit="timeout -k 5 60"
egw_look() { { egw_kernel; egw_ipset; egw_bpf; } | cat; }
${PLACE_FUNCTION}
egw_put() { cat > $T/put && egw_place $T/put $D/$1; }
# egw_tool TOOL FILE [OPTION]: the files are there before the first step, so that none needs room on a disk.
egw_tool() {
  case $1 in
    ip) egw_promoting "$2" timeout -k 5 60 ip $3 -batch - ;;
    ipset) timeout -k 5 120 ipset -exist restore ;;
    iptables) timeout -k 5 120 iptables-restore -w 60 --noflush ;;
    sysctl) while read -r k e v; do echo "$v" > /proc/sys/$k || return 1; done ;;
    arping) egw_probe_duplicates ;;
    conntrack) egw_cut "$2" ;;
    bpf-map) egw_bpf_maps ;;
    bpf-entry) egw_bpf_entries ;;
    bpf-program) egw_bpf_programs ;;
    tc) egw_filters ;;
  esac < "$2"
}
# The kernel takes a device's other addresses of a network away with the first of them, unless it is told to keep them.
egw_promoting() {
  promoting=$(sed -n 's/^addr del .* dev \\([^ ]*\\).*/\\1/p' "$1" | sort -u); shift
  for d in $promoting; do
    f=/proc/sys/net/ipv4/conf/$d/promote_secondaries
    [ "$(cat $f 2>/dev/null)" = 0 ] && echo 1 > $f && promoted="$promoted $f"
  done
  "$@"; rc=$?
  for f in $promoted; do echo 0 > $f; done
  promoted=
  return $rc
}
egw_probe_duplicates() {
  command -v arping >/dev/null 2>&1 || { cat >/dev/null; return 0; }
  while read -r dev address; do
    { arping -D -c 2 -w 2 -I "$dev" "$address" > $T/dad.$address 2>&1 </dev/null || touch $T/dad.$address.taken; } &
  done
  wait
  rc=0
  for f in $T/dad.*.taken; do
    [ -f "$f" ] || continue
    f=\${f%.taken}; rc=1
    mac=$(sed -n 's/.*\\[\\([0-9A-Fa-f:]*\\)\\].*/\\1/p' "$f" | head -n 1)
    if [ -n "$mac" ]; then why="is already used by $mac"; else why="can't be probed: $(tail -n 1 "$f")"; fi
    echo "address \${f##*/dad.} $why" >&2
  done
  return $rc
}
# What was there and is gone, and what is there and was not.
egw_difference() {
  awk '
    NR == FNR { was[++n] = $0; left[$0]++; next }
    left[$0] > 0 { left[$0]--; next }
    { extra[++m] = $0 }
    END {
      for (i = 1; i <= n; i++) if (left[was[i]]-- > 0) { print "missing  " was[i]; gone++ }
      for (i = 1; i <= m; i++) print "extra  " extra[i]
      if (gone + m == 0) print "the same lines in another order"
    }' $T/before $T/after
}
egw_run() {
  done_steps=
  for s in $1; do
    i=\${s%%:*}; tool=\${s#*:}
    done_steps="$s $done_steps"
    if ! egw_tool $tool $T/$i.in > $T/out 2> $T/err; then
      echo @@failed; echo "$i $tool"; head -c 4000 $T/err; head -c 1000 $T/out; echo
      rm -f $T/reserve
      for u in $done_steps; do
        j=\${u%%:*}; t=\${u#*:}
        [ $j = $i ] && [ $t = iptables ] && continue
        case $t in
          ip) egw_tool ip $T/$j.undo -force >/dev/null 2>&1 ;;
          # One process for all lines, which stops at the first that can't be done; then one for each.
          ipset) egw_tool ipset $T/$j.undo >/dev/null 2>&1 || while read -r line; do echo "$line" | ipset -exist restore >/dev/null 2>&1; done < $T/$j.undo ;;
          bpf-entry) egw_tool $t $T/$j.undo >/dev/null 2>&1 || while read -r line; do echo "$line" | egw_bpf_entries >/dev/null 2>&1; done < $T/$j.undo ;;
          arping) ;;
          conntrack) egw_uncut >/dev/null 2>&1 ;;
          *) egw_tool $t $T/$j.undo > $T/out 2>&1 || { echo "undo of step $j ($t) failed"; head -c 2000 $T/out; echo; } ;;
        esac
      done
      egw_tidy_bpf
      egw_look > $T/after
      if [ "$(sha256sum < $T/before)" = "$(sha256sum < $T/after)" ]; then echo @@rolled-back; else echo @@not-rolled-back; egw_difference; fi
      rm -rf $T; rmdir $D/claims $D 2>/dev/null
      echo @@end
      return 1
    fi
  done
  return 0
}
egw_announce() {
  command -v arping >/dev/null 2>&1 || return 0
  { arping -q -U -c 2 -I "$1" "$2"; arping -q -A -c 1 -I "$1" "$2"; } >/dev/null 2>&1 </dev/null 9<&- &
}
egw_remove_misplaced() { rm -rf "$1"; }
egw_save_restore() {
  [ -d $D/restore ] || rm -f $D/restore
  mkdir -p $D/restore
  egw_misplaced egw_remove_misplaced
  mv $T/restore-ip $D/restore/ip
  ipset save 2>/dev/null | grep -E '^(create|add) egw-' | grep -Ev '^add egw-cut(-opening)? ' | egw_put restore/ipset
  sed -n '/^@@iptables$/,$p' $T/kernel | sed '1d' | egw_put restore/iptables
  sed -n '/^@@sysctl$/,/^@@address$/p' $T/kernel | grep -v '^@@' | egw_put restore/sysctl
  (cd $D && sha256sum ${SAVED.join(" ")}) | egw_put ${SUMS}
  [ -f $T/restore-run ] || return 0
  mv $T/restore-run $D/restore/run
  if [ -d ${SYSTEMD} ]; then
    # A masked unit is a link to nowhere.
    rm -f $UNIT
    (umask 022; cat $T/restore-unit > $UNIT)
    systemctl daemon-reload >/dev/null 2>&1; systemctl enable pulumi-egress.service >/dev/null 2>&1
  fi
  # An empty one would leave a boot open after a loss of power.
  sync $D/restore/run $UNIT 2>/dev/null
  return 0
}
egw_remove_unit() {
  [ -f $UNIT ] || return 0
  systemctl disable pulumi-egress.service >/dev/null 2>&1; rm -f $UNIT; systemctl daemon-reload >/dev/null 2>&1
  return 0
}
`;

/** Makes the node send everything at the next probe. */
export const forgetDigestScript = (): string => `rm -f ${STATE_DIRECTORY}/digest\n`;
