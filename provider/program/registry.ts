import { hereDocument, NO_SPACE, PLACE_FUNCTION, whole } from "./frame";
import { STATE } from "./shell-probe";

/** One name in a fleet's registry and who holds it. `key` is `mark-<index>`, `ip-<address>` or `settings`. */
export interface RegistryEntry {
  readonly key: string;
  readonly owner: string;
  /** Told to whoever meets the claim: project/stack/name. */
  readonly holder: string;
  /** Compared for `settings`: equal content is no clash. */
  readonly content: string;
}

const FLEET = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const KEY = /^(mark-[0-9]{1,5}|ip-[0-9.]{7,15}|settings)$/;
const OWNER = /^[A-Za-z0-9-]{1,64}$/;

const ENTRY_FIELDS = ["key", "owner", "holder", "content"] as const;
const textOf = (entry: Partial<Record<keyof RegistryEntry, unknown>>): string =>
  JSON.stringify(Object.fromEntries(ENTRY_FIELDS.map((name) => [name, entry[name]])));

/** The entry that a file holds; undefined if it is not as we write one. */
export function parseEntry(text: string): RegistryEntry | undefined {
  try {
    const entry = JSON.parse(text) as RegistryEntry;
    return textOf(entry) === text && ENTRY_FIELDS.every((name) => typeof entry[name] === "string") ? entry : undefined;
  } catch {
    return undefined;
  }
}

/** Prints the entry of a key if its file is as we write one. What is not stands in nobody's way, and goes with the last entry. */
const ENTRY_FUNCTION = `egw_entry() {
  grep -Exs '[{]"key":"'"$1"'","owner":"[A-Za-z0-9-]+","holder":STRING,"content":STRING[}]' "$R/$1"
}`.replaceAll("STRING", String.raw`"([^"\\[:cntrl:]]|\\(["\\/bfnrt]|u[0-9a-f]{4}))*"`);

/**
 * Claims all entries or none, in one round trip, under the node's lock. Prints `@@clash` with the other's entries, or `@@claimed`.
 * Keys in `replacing` are taken from whoever has them, those in `former` from that owner.
 */
export function claimScript(
  fleet: string,
  entries: readonly RegistryEntry[],
  replacing: readonly string[] = [],
  former: ReadonlyMap<string, string> = new Map(),
): string {
  const guarded = entries.filter(({ key }) => !replacing.includes(key));
  const owners = ({ key, owner }: RegistryEntry): string =>
    [owner, former.get(key) ?? owner].map((id) => checked(OWNER, id)).join(" ");
  const checks = guarded.map((entry) => `egw_check ${checked(KEY, entry.key)} ${owners(entry)}`);
  const writes = entries.map((entry, i) => whole(`cat > $R/.${entry.key}`, hereDocument([textOf(entry)], i)));
  const renames = entries.map(({ key }) => `egw_place $R/.${key} $R/${key}`);
  return `${STATE}
R=$D/registry/${checked(FLEET, fleet)}
${ENTRY_FUNCTION}
${PLACE_FUNCTION}
egw_check() { egw_entry $1 | grep -v -e "\\"owner\\":\\"$2\\"" -e "\\"owner\\":\\"$3\\""; }
egw_full() { rm -f $R/.mark-* $R/.ip-* $R/.settings; rmdir $R $D/registry $D/claims $D $UP 2>/dev/null; ${NO_SPACE}; exit 0; }
egw_main() {
[ -d $R ] || rm -f $R $D/registry 2>/dev/null
umask 077; mkdir -p $R || egw_full
exec 9<$D; flock -w 60 9 || { echo @@busy; exit 0; }
# Whoever let go of the last entry meanwhile took the directory away.
[ $D -ef /proc/self/fd/9 ] || { echo @@busy; exit 0; }
mkdir -p $R || egw_full
TMPDIR=$R
clash=$(${checks.join("\n") || ":"})
if [ -n "$clash" ]; then echo @@clash; printf '%s\\n' "$clash"; else
${[...writes, ...renames].join("\n")}
echo @@claimed
fi
echo @@end
}
egw_main
`;
}

/** Lets go of what `owner` holds but for the keys in `keep`; the directory goes with the last entry. */
export function releaseScript(fleet: string, owner: string, keep: readonly string[] = []): string {
  const kept = keep.map((key) => `$R/${checked(KEY, key)}`).join("|") || "none";
  return `${STATE}
R=$D/registry/${checked(FLEET, fleet)}
${ENTRY_FUNCTION}
egw_main() {
[ -d $R ] || { echo @@released; echo @@end; return; }
exec 9<$D; flock -w 60 9 || { echo @@busy; exit 0; }
# Whoever let go of the last entry meanwhile took the directory away: of this owner there was none.
[ $D -ef /proc/self/fd/9 ] || { echo @@released; echo @@end; return; }
left=
for f in $R/mark-* $R/ip-*; do
  entry=$(egw_entry "\${f##*/}") || continue
  case "$f" in ${kept}) left=1; continue ;; esac
  case $entry in *'"owner":"${checked(OWNER, owner)}"'*) rm -f "$f" ;; *) left=1 ;; esac
done
[ -n "$left" ] || rm -rf $R
rmdir $D/registry $D/claims $D $UP 2>/dev/null
echo @@released; echo @@end
}
egw_main
`;
}

function checked(pattern: RegExp, text: string): string {
  if (!pattern.test(text)) throw new Error(`not allowed in a registry: ${JSON.stringify(text)}`);
  return text;
}
