/** What a drift line calls a file of ours. */
export const FILE = "file";

/** What a node keeps in its state directory, by name there, besides claims and registry. */
export const RUN = "restore/run";
export const SUMS = "restore/sums";
export const GENERATION = "generation";
/** What makes maps, programs and filters again. */
export const PROGRAMS = "restore/bpf";
/** What an apply leaves for the next probe and the next boot; it notes their digests in SUMS. */
export const SAVED = [
  "node.json",
  "compiler",
  "manifest",
  "digest",
  "restore/ip",
  "restore/ipset",
  "restore/iptables",
  "restore/sysctl",
  PROGRAMS,
] as const;
export const STATE_FILES: readonly string[] = [...SAVED, GENERATION, RUN, SUMS];

/** Where systemd runs: the unit, and the link by which it is enabled. */
export const SYSTEMD = "/run/systemd/system";
export const UNIT = "/etc/systemd/system/pulumi-egress.service";
export const ENABLED = "/etc/systemd/system/multi-user.target.wants/pulumi-egress.service";
export const UNIT_FILES: readonly string[] = [UNIT, ENABLED];

const RESTORE = "restore/";
/** Folders in which every file is ours. */
export const FOLDERS = [RESTORE, "claims/"] as const;
const inRestore = STATE_FILES.filter((name) => name.startsWith(RESTORE));

/** Shell functions over the files that we keep on a node. A `-` stands for what has no digest: a link, a folder, a name of nobody. */
export const FILE_FUNCTIONS = `
UNIT=${UNIT} ENABLED=${ENABLED}
egw_generation() {
  g=$(cat $D/${GENERATION} 2>/dev/null)
  case $g in "" | *[!0-9]* | 0?*) g=0 ;; esac
  echo $g
}
egw_is_in_place() {
  [ -f "$1" ] && [ ! -L "$1" ] || return 1
  case \${1#$D/} in
    ${inRestore.join(" | ")}) return 0 ;;
    claims/node-*.json | claims/gateway-*.json | claims/policy-*.json) ;;
    *) return 1 ;;
  esac
  id=\${1##*/}; id=\${id%.json}
  case $id in *[!A-Za-z0-9-]*) return 1 ;; esac
  [ \${#id} -le 64 ]
}
# What is in a folder of ours and is none of its files.
egw_misplaced() {
  for f in ${FOLDERS.map((folder) => `$D/${folder}*`).join(" ")}; do
    if [ -e "$f" ] || [ -L "$f" ]; then egw_is_in_place "$f" || $1 "$f"; fi
  done
}
egw_print_misplaced() {
  n=\${1#$D/}
  case $n in *[!A-Za-z0-9._/-]*) n=\${n%%/*}/? ;; esac
  echo "-  $n"
}
egw_files() {
  echo @@files
  # A namespace does not outlive a boot.
  if [ -z "$EGW_NETNS" ] && [ -d ${SYSTEMD} ]; then
    echo "-  ${SYSTEMD}"
    sha256sum $UNIT 2>/dev/null
    [ -L $ENABLED ] && echo "-  $ENABLED"
  fi
  [ -d $D ] || return 0
  (cd $D && sha256sum ${STATE_FILES.join(" ")} 2>/dev/null)
  egw_misplaced egw_print_misplaced
  echo @@files-recorded; cat $D/${SUMS} 2>/dev/null; echo
}
`;
