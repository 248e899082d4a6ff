import { LAYOUT_VERSION } from "../kernel/bpf-layout";

/** The folder of the maps of our layout. */
export const MAPS = `maps-${LAYOUT_VERSION}`;

/** Where programs and maps of ours are pinned: `maps-VERSION`, a folder for each object, and `clsact` for the hooks that are ours. */
export const BPF_DIRECTORY = "/sys/fs/bpf/pulumi-egress";

/** Shell functions that read maps of ours. */
export const MAP_FUNCTIONS = `
BPF=${BPF_DIRECTORY}\${EGW_NETNS:+-$EGW_NETNS}
# MAP KEY VALUE of each entry of a map, in hexadecimal digits. One that goes meanwhile has no value; where entries go, others may come twice.
egw_entries() {
  { $egw_limit bpftool map dump pinned $BPF/${MAPS}/$1 2>/dev/null || echo unread; } | LC_ALL=C awk -v m=$1 '
    function print_entry() { if (sub(/value:/, " ", entry) && entry !~ /[^0-9a-f ]/) print m, entry; entry = "" }
    /^unread/ { unread = 1; exit }
    /^Found / { next }
    { gsub(/[ \t]/, "") }
    sub(/^key:/, "") { print_entry() }
    { entry = entry $0 }
    END { print_entry(); if (unread) exit 1 }'
}
# Each verdict that a program has come to, by its place in egw_verdicts, and how often: the sum over all CPUs.
egw_verdicts() {
  [ -e $BPF/${MAPS}/egw_verdicts ] && command -v bpftool >/dev/null 2>&1 || return 0
  bpftool map dump pinned $BPF/${MAPS}/egw_verdicts 2>/dev/null | LC_ALL=C awk '
    function byte(hex) { return (index(DIGITS, substr(hex, 1, 1)) - 1) * 16 + index(DIGITS, substr(hex, 2, 1)) - 1 }
    function number(first, bytes,  i, sum) { for (i = first + bytes - 1; i >= first; i--) sum = sum * 256 + byte($i); return sum }
    BEGIN { DIGITS = "0123456789abcdef" }
    /key:/ { for (i = 1; i <= NF; i++) if ($i ~ /key:$/) { if (i == NF) { getline; i = 0 } key = number(i + 1, 4); break } }
    /CPU [0-9]+[)]:/ { for (i = 1; i < NF; i++) if ($i ~ /^[0-9]+[)]:$/) sum[key] += number(i + 1, 8) }
    END { for (key in sum) if (sum[key] > 0) printf "%d %.0f\\n", key, sum[key] }' | sort -n
}
`;
