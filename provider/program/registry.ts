import { hereDocument, NO_SPACE, whole } from "./frame";
import { STATE_DIRECTORY } from "./shell-probe";

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
  const writes = entries.map((entry, i) => whole(`cat > $R/.${entry.key}`, hereDocument([JSON.stringify(entry)], i)));
  const renames = entries.map(({ key }) => `mv $R/.${key} $R/${key}`);
  return `D=${STATE_DIRECTORY}; R=$D/registry/${checked(FLEET, fleet)}
egw_check() {
  [ -f $R/$1 ] || return 0
  grep -q -e "\\"owner\\":\\"$2\\"" -e "\\"owner\\":\\"$3\\"" $R/$1 || cat $R/$1
}
egw_full() { rm -f $R/.mark-* $R/.ip-* $R/.settings; rmdir $R $D/registry $D/claims $D 2>/dev/null; ${NO_SPACE}; exit 0; }
egw_main() {
umask 077; mkdir -p $R || egw_full
exec 9<$D; flock -w 60 9 || { echo @@busy; exit 0; }
# Whoever let go of the last entry meanwhile took the directory away.
[ $D -ef /proc/self/fd/9 ] || { echo @@busy; exit 0; }
mkdir -p $R || egw_full
TMPDIR=$R
clash=$(${checks.join("\n") || ":"})
if [ -n "$clash" ]; then echo @@clash; echo "$clash"; else
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
  return `D=${STATE_DIRECTORY}; R=$D/registry/${checked(FLEET, fleet)}
egw_main() {
[ -d $R ] || { echo @@released; echo @@end; return; }
exec 9<$D; flock -w 60 9 || { echo @@busy; exit 0; }
for f in $R/mark-* $R/ip-*; do case "$f" in ${kept}) continue ;; esac; [ -f "$f" ] && grep -q '"owner":"${checked(OWNER, owner)}"' "$f" && rm -f "$f"; done
set -- $R/mark-*; [ -f "$1" ] || set -- $R/ip-*; [ -f "$1" ] || rm -f $R/settings
rmdir $R $D/registry $D/claims $D 2>/dev/null
echo @@released; echo @@end
}
egw_main
`;
}

function checked(pattern: RegExp, text: string): string {
  if (!pattern.test(text)) throw new Error(`not allowed in a registry: ${JSON.stringify(text)}`);
  return text;
}
