import { ENTRY_MAPS } from "../kernel/bpf-entry";
import { MAP_FUNCTIONS, MAPS } from "./bpf-maps";
import { FILTER_FUNCTIONS } from "./filters";

/**
 * egw_bpf prints maps, programs and filters of ours, and the entries that user space writes: lines `map`, `program`, `filter`, `entry`
 * as the kinds read them. Filters of others are printed where they stand in front of one of ours only, and one of ours could come before them. Devices are in the order of their
 * names, since one that is made again has another number; filters of a hook in the order in which a packet meets them.
 */
export const BPF_PROBE_FUNCTIONS = `
${MAP_FUNCTIONS}
egw_bpf() {
  echo @@bpf
  command -v bpftool >/dev/null 2>&1 || return 0
  [ -d $BPF ] || tc qdisc show 2>/dev/null | grep -q '^qdisc clsact ' || return 0
  {
    for f in $BPF/maps-*/*; do
      [ -e "$f" ] || continue
      v=\${f%/*}; echo "@map \${v##*-} \${f##*/}"; bpftool map show pinned "$f"
    done
    for f in $BPF/client-*/* $BPF/gateway-*/* $BPF/connections-*/*; do
      [ -e "$f" ] || continue
      d=\${f%/*}; echo "@program \${d##*/} \${f##*/}"; bpftool prog show pinned "$f"
    done
    echo @device; grep . /sys/class/net/*/ifindex
    echo @filter; egw_hooks
  } 2>/dev/null | awk '
    /^@/ { mode = substr($1, 2); a = $2; b = $3; next }
    mode == "map" && /^[0-9]+:/ { pinned[$1 + 0]; type = $2; flags = 0; for (i = 3; i < NF; i++) if ($i == "flags") flags = $(i + 1); next }
    mode == "map" && $1 == "key" { print "map", a, b, type, $2 + 0, $4 + 0, $6 + 0, flags; next }
    mode == "program" && /^[0-9]+:/ {
      split(a, p, "-"); of[b, $1 + 0] = p[1] " " p[2]
      if (!(a in programs)) folders[++n] = a
      next
    }
    # Of the maps that a program uses all are pinned but that of its constants.
    mode == "program" && / map_ids / {
      for (i = 1; i < NF; i++) if ($i == "map_ids") m = split($(i + 1), ids, ",")
      for (i = 1; i <= m; i++) if (!(ids[i] in pinned)) strange++
      programs[a] = programs[a] " " substr(b, 5) (strange > 1 ? "!" : ""); strange = 0
      next
    }
    mode == "device" { sub(/^.sys.class.net./, ""); split($0, found, "/ifindex:"); device[found[2]] = found[1]; next }
    mode == "filter" && $3 == "bpf" {
      hook = "filter " $1 " " $2 " "
      if ($6 !~ /^egw-/) { if (!$10) others[hook] = others[hook] hook $6 "\\n"; next }
      what = ($6, $7) in of ? of[$6, $7] : "?"
      if ($5 != "all") what = what " protocol " $5
      if ($8 != "da") what = what " without direct-action"
      if ($9) what = what " chain " $9
      filters = filters others[hook] hook $6 " " what "\\n"; others[hook] = ""
    }
    END {
      for (i = 1; i <= n; i++) {
        split(folders[i], p, "-")
        print "program", p[1], p[2], (p[3] in device ? device[p[3]] : "?"), (p[4] in device ? device[p[4]] : "?") programs[folders[i]]
      }
      printf "%s", filters
    }' | LC_ALL=C sort -s -k 1,3
  for m in ${ENTRY_MAPS.join(" ")}; do
    [ ! -e $BPF/${MAPS}/$m ] || egw_entries $m | sed 's/^/entry /' | LC_ALL=C sort
  done
}
`;

/**
 * The tools of a batch that program maps, programs and filters. Each line can be done again. What a line takes away stays pinned as
 * `gone-…` until the batch ends, for its undo.
 */
export const BPF_APPLY_FUNCTIONS = `
# create VERSION NAME TYPE KEY VALUE ENTRIES FLAGS, or drop, remove, restore VERSION NAME
egw_bpf_maps() {
  while read -r verb version name type key value entries flags; do
    d=$BPF/maps-$version; gone=$BPF/gone-maps-$version
    case $verb in
      create)
        mkdir -p $d || return 1
        [ -e $d/$name ] || $egw_limit bpftool map create $d/$name type $type key $key value $value entries $entries name $name flags $flags || return 1 ;;
      drop) rm -f $d/$name ;;
      remove) [ ! -e $d/$name ] || { mkdir -p $gone && mv $d/$name $gone/$name; } || return 1 ;;
      restore) [ ! -e $gone/$name ] || { mkdir -p $d && mv -f $gone/$name $d/$name; } || return 1 ;;
    esac
  done
}
# update MAP KEY VALUE, or delete MAP KEY
egw_bpf_entries() {
  awk -v maps=$BPF/${MAPS} '
    function words(hex,  i, text) { for (i = 1; i < length(hex); i += 2) text = text " " substr(hex, i, 2); return text }
    $1 == "update" { print "map update pinned " maps "/" $2 " key hex" words($3) " value hex" words($4); next }
    { print "map delete pinned " maps "/" $2 " key hex" words($3) }' | $egw_limit bpftool batch file -
}
# load OBJECT HASH TUNNEL UPLINK MAPS, or unload, restore, drop, keep OBJECT HASH
egw_bpf_programs() {
  while read -r verb object hash tunnel uplink maps; do
    case $verb in
      load) egw_load || return 1 ;;
      unload) egw_put_away || return 1 ;;
      restore)
        for d in $BPF/gone-$object-$hash-*; do
          [ -d $d ] || continue
          rm -rf $BPF/$object-$hash-*
          mv $d $BPF/\${d##*/gone-} || return 1
        done ;;
      drop) rm -rf $BPF/$object-$hash-* ;;
    esac
  done
}
egw_put_away() {
  for d in $BPF/$object-$hash-*; do
    [ ! -d $d ] || { rm -rf $BPF/gone-\${d##*/} && mv $d $BPF/gone-\${d##*/}; } || return 1
  done
}
# All programs of an object at once, in place before any filter is swapped.
egw_load() {
  x=$(cat /sys/class/net/$tunnel/ifindex) && u=$(cat /sys/class/net/$uplink/ifindex) || return 1
  o=$T/object-$object-$hash
  while read -r what at; do
    case $what in
      tunnel) egw_put_number $o $at $x ;;
      uplink) egw_put_number $o $at $u ;;
      aggregates) egw_put_number $o $at $(egw_takes_aggregates $uplink) ;;
    esac || return 1
  done < $o.devices
  shared=; for m in $(echo $maps | tr , ' '); do shared="$shared map name $m pinned $BPF/${MAPS}/$m"; done
  rm -rf $BPF/loading
  $egw_limit bpftool prog loadall $o $BPF/loading type classifier $shared >&2 || return 1
  # A bpftool before 6.0 pins a program by its section's name, tc/PROGRAM.
  for f in $BPF/loading/*; do n=\${f##*/}; mv $f $BPF/loading/egw-\${n#tc_} || return 1; done
  egw_put_away && mv $BPF/loading $BPF/$object-$hash-$x-$u
}
# 1 where a device takes aggregates that have kept the bits of the tunnel: it hands them on whole, or leaves it to the kernel to cut them.
# Where nobody says so it is 0, and by the device of a gateway pod, which hands them on to a card of its machine.
egw_takes_aggregates() {
  { ip -d link show dev $1; ethtool -k $1; } 2>/dev/null | awk -v pod="$EGW_NETNS" '
    $1 == "veth" && pod == "" { pair = 1 }
    /^[ \t]*tx-udp_tnl-(csum-)?segmentation: off/ { off++ }
    END { print (pair || off == 2) + 0 }'
}
# egw_put_number FILE AT NUMBER: 32 bits, little-endian
egw_put_number() {
  printf "$(printf '\\\\%03o\\\\%03o\\\\%03o\\\\%03o' $(($3 & 255)) $(($3 >> 8 & 255)) $(($3 >> 16 & 255)) $(($3 >> 24 & 255)))" |
    dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}
${FILTER_FUNCTIONS}
# What is taken away for good, and folders that are empty.
egw_tidy_bpf() {
  [ -d $BPF ] || return 0
  rm -rf $BPF/gone-* $BPF/loading
  if hooks=$(egw_qdiscs); then
    hooks=$(echo "$hooks" | awk '$2 != "ingress" { print "/sys/class/net/" $1 "/ifindex" }' | xargs -r cat 2>/dev/null)
    for d in $BPF/clsact/*; do [ ! -d $d ] || echo "$hooks" | grep -qx \${d##*/} || rmdir $d; done
  fi
  rmdir $BPF/maps-* 2>/dev/null
  # Where nothing of ours is left, a hook that others use is theirs.
  ls -d $BPF/maps-* >/dev/null 2>&1 || rm -rf $BPF/clsact
  rmdir $BPF/clsact $BPF 2>/dev/null
  return 0
}
`;
