import { SAVED, SUMS, SYSTEMD } from "./files";
import { NO_SPACE, PLACE_FUNCTION } from "./frame";
import { LEND_FUNCTION } from "./shell-probe";

/** What a batch runs its steps by, undoes them by where one fails, and saves for the next boot. */
export const APPLY_FUNCTIONS = `
egw_full() { rm -rf $T; rmdir $D/claims $D $UP 2>/dev/null; ${NO_SPACE}; exit 0; }
egw_unburied() { echo @@failed; echo "0 conntrack"; head -c 4000 $T/err; echo; echo @@rolled-back; rm -rf $T; echo @@end; exit 0; }
egw_limit="timeout -k 5 60"
egw_look() { { egw_kernel; egw_ipset; egw_bpf; } | cat; }
${PLACE_FUNCTION}
${LEND_FUNCTION}
# What namespaces had that are gone: nobody comes to them any more.
egw_tidy_namespaces() {
  n=\${D%/netns/*}/netns
  for d in $n/*; do
    [ ! -d "$d" ] || [ -e "/run/netns/\${d##*/}" ] || { rm -rf "$d"; rmdir $n 2>/dev/null; }
  done
}
egw_put() { cat > $T/put && egw_place $T/put $D/$1; }
# egw_tool TOOL FILE [OPTION]: the files are there before the first step, so that none needs room on a disk.
egw_tool() {
  case $1 in
    ip) egw_promoting "$2" timeout -k 5 60 ip $3 -batch - ;;
    ipset) timeout -k 5 120 ipset -exist restore ;;
    iptables) timeout -k 5 120 iptables-restore -w 60 --noflush ;;
    sysctl) while read -r k e v a; do
      echo "$v" > /proc/sys/$k && { [ -z "$a" ] || egw_lend $k $a; } || return 1
    done ;;
    arping) egw_probe_duplicates ;;
    conntrack) egw_cut "$2" ;;
    bpf-map) egw_bpf_maps ;;
    bpf-entry) egw_hand_over egw_bpf_entries "$2" ;;
    bpf-program) egw_bpf_programs ;;
    tc) egw_hand_over egw_filters "$2" ;;
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
# Its variables have names that no tool's have.
egw_run() {
  done_steps=
  for run_step in $1; do
    run_number=\${run_step%%:*}; run_tool=\${run_step#*:}
    done_steps="$run_step $done_steps"
    if ! egw_tool $run_tool $T/$run_number.in > $T/out 2> $T/err; then
      echo @@failed; echo "$run_number $run_tool"; head -c 4000 $T/err; head -c 1000 $T/out; echo
      rm -f $T/reserve
      undoing=1
      for undo_step in $done_steps; do
        undo_number=\${undo_step%%:*}; undo_tool=\${undo_step#*:}
        [ $undo_number = $run_number ] && [ $undo_tool = iptables ] && continue
        case $undo_tool in
          ip) egw_tool ip $T/$undo_number.undo -force >/dev/null 2>&1 ;;
          # One process for all lines, which stops at the first that can't be done; then one for each.
          ipset) egw_tool ipset $T/$undo_number.undo >/dev/null 2>&1 || while read -r line; do echo "$line" | ipset -exist restore >/dev/null 2>&1; done < $T/$undo_number.undo ;;
          bpf-entry) egw_tool bpf-entry $T/$undo_number.undo >/dev/null 2>&1 || while read -r line; do echo "$line" | egw_bpf_entries >/dev/null 2>&1; done < $T/$undo_number.undo ;;
          arping) ;;
          conntrack) egw_uncut >/dev/null 2>&1 ;;
          *) egw_tool $undo_tool $T/$undo_number.undo > $T/out 2>&1 || { echo "undo of step $undo_number ($undo_tool) failed"; head -c 2000 $T/out; echo; } ;;
        esac
      done
      egw_tidy_bpf
      egw_look > $T/after
      if [ "$(sha256sum < $T/before)" = "$(sha256sum < $T/after)" ]; then echo @@rolled-back; else echo @@not-rolled-back; egw_difference; fi
      rm -rf $T; rmdir $D/claims $D $UP 2>/dev/null
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
  egw_save_bpf $D/restore/bpf | egw_put restore/bpf
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
  [ -z "$EGW_NETNS" ] && [ -f $UNIT ] || return 0
  systemctl disable pulumi-egress.service >/dev/null 2>&1; rm -f $UNIT; systemctl daemon-reload >/dev/null 2>&1
  return 0
}
`;
