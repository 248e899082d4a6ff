import type { Cut } from "../compile/cuts";
import type { Step } from "../reconcile/step";
import { APPLY_FUNCTIONS } from "./apply-functions";
import { BPF_APPLY_FUNCTIONS } from "./bpf";
import { BPF_BOOT_FUNCTIONS } from "./bpf-boot";
import { CUT_FUNCTION, cutLines } from "./cut";
import { FILE_FUNCTIONS } from "./files";
import { hereDocument, whole } from "./frame";
import { HAND_OVER_FUNCTIONS } from "./hand-over";
import { RESTORE_PROGRAM, RESTORE_UNIT } from "./restore";
import { PROBE_FUNCTIONS, STATE } from "./shell-probe";
import { TAKE_OVER_FUNCTIONS } from "./take-over";

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

/** An object with its constants, but for the numbers of devices and what the uplink can do, which only the node knows. */
export interface ProgramObject {
  readonly name: string;
  /** Of the object and its constants. */
  readonly hash: string;
  /** Base64 of what gzip made of it. */
  readonly lines: readonly string[];
  /** Where in its file (bytes from its beginning) 32 bits belong: the number of the tunnel or the uplink, or whether that takes aggregates. */
  readonly devices: readonly { readonly device: "tunnel" | "uplink" | "aggregates"; readonly at: number }[];
}

const OWNER_ID = /^[A-Za-z0-9-]{1,64}$/;
const DEVICE = /^[A-Za-z0-9_][A-Za-z0-9_.@:-]{0,14}$/;
const OBJECT = /^[a-z]{1,16}$/;
const HASH = /^[0-9a-f]{1,64}$/;
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
  for (const { name, hash, lines, devices } of batch.objects) {
    const object = `object-${checked(OBJECT, name, "an object")}-${checked(HASH, hash, "a hash")}`;
    documents.push(whole(`{ base64 -d | gzip -dc > $T/${object}; }`, hereDocument(lines, documents.length)));
    file(
      `${object}.devices`,
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
  return `${STATE}
${PROBE_FUNCTIONS}
${FILE_FUNCTIONS}
${APPLY_FUNCTIONS}
${BPF_APPLY_FUNCTIONS}
${BPF_BOOT_FUNCTIONS}
${CUT_FUNCTION}
${HAND_OVER_FUNCTIONS}
${TAKE_OVER_FUNCTIONS}
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
${tables.length === 0 ? "" : `if egw_tables_of_others | grep -qxE '${tables.join("|")}'; then rmdir $D/claims $D $UP 2>/dev/null; echo @@stale; exit 0; fi`}
left=$(grep -sx 'ifindex=[0-9]*' $T/given-up)
rm -rf $T; mkdir $T && echo "$left" > $T/given-up || egw_full
TMPDIR=$T
egw_tidy_namespaces
egw_tidy_bpf
egw_drop_left "$left"
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
rm -rf $T${batch.node === undefined ? "; rmdir $D $UP 2>/dev/null || :" : ""}
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

/** Makes the node send everything at the next probe. */
export const forgetDigestScript = (): string => `${STATE}\nrm -f $D/digest\n`;
