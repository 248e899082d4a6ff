import { BPF_APPLY_FUNCTIONS } from "./bpf";
import { BPF_BOOT_FUNCTIONS } from "./bpf-boot";
import { GENERATION, SUMS } from "./files";
import { PROBE_FUNCTIONS, STATE_DIRECTORY } from "./shell-probe";

const READ = "egw_iptables() {\n  iptables-save 2>/dev/null |";
const CLOSING = "^(:EGRESSGATEWAY-BOOT |-A EGRESSGATEWAY-BOOT |-A FORWARD -j EGRESSGATEWAY-BOOT$)";
/** The chain that closes forwarding stands while the kernel is compared, so it is taken out before its place is looked at. */
const COMPARED = PROBE_FUNCTIONS.replace(READ, () => `${READ} grep -vE '${CLOSING}' |`);
/** What a boot goes by, each as the last apply noted it or not at all. */
const NEEDED = ["digest", "restore/ip", "restore/ipset", "restore/iptables", "restore/sysctl"];

/**
 * The program that puts a node's state back at boot, from what the last apply saved beside it.
 * Forwarding is closed from its first command until the kernel shows exactly what was there after the last apply;
 * where that can't be reached, the selected sources stay closed, and where these aren't known, everything does.
 */
export const RESTORE_PROGRAM = `#!/bin/sh
# Puts the egress datapath back at boot. Written by pulumi-egress; removed by pulumi destroy.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
D=${STATE_DIRECTORY}
${COMPARED}
egw_limit="timeout -k 5 60"
${BPF_APPLY_FUNCTIONS}
${BPF_BOOT_FUNCTIONS}
# The rules of the chain that closes, from the input; it comes to stand first, all in one commit.
# Asked before: with iptables-legacy whoever asks while iptables-restore reads waits for its lock.
egw_close() {
  former='# none'
  iptables -w 60 -t mangle -C FORWARD -j EGRESSGATEWAY-BOOT 2>/dev/null && former='-D FORWARD -j EGRESSGATEWAY-BOOT'
  { echo '*mangle'; echo ':EGRESSGATEWAY-BOOT - [0:0]'; cat; echo "$former"; echo '-I FORWARD 1 -j EGRESSGATEWAY-BOOT'; echo COMMIT; } | iptables-restore -w 60 --noflush
}
egw_close_all() { echo '-A EGRESSGATEWAY-BOOT -j DROP' | egw_close; }
egw_open() {
  iptables -w 60 -t mangle -D FORWARD -j EGRESSGATEWAY-BOOT && iptables -w 60 -t mangle -F EGRESSGATEWAY-BOOT && iptables -w 60 -t mangle -X EGRESSGATEWAY-BOOT
}
# egw_is_saved FILE…: each is what the last apply noted of it.
egw_is_saved() {
  for f; do (cd $D && grep -x "[0-9a-f]*  $f" ${SUMS} | sha256sum -c) >/dev/null 2>&1 || return 1; done
}
egw_hooks_in_place() {
  awk '
    /^\\*/ { if (NR > 1) print "COMMIT"; print; table = $1; next }
    /^:/ { print $1 " - [0:0]"; next }
    /^-A EGRESSGATEWAY-/ { print; next }
    / -j EGRESSGATEWAY-KEEP$/ || (table == "*nat" && $2 == "PREROUTING") { print; next }
    { c = $2; sub(/^-A [A-Z]+ /, ""); print "-I " c " " ++n[table c] " " $0 }
    END { print "COMMIT" }' $D/restore/iptables
}
egw_restore() {
  egw_is_saved ${NEEDED.join(" ")} || return 1
  ipset -exist restore < $D/restore/ipset && egw_hooks_in_place | iptables-restore -w 60 --noflush || return 1
  ip -force -batch $D/restore/ip
  while read -r name e value; do echo "$value" > /proc/sys/$name; done < $D/restore/sysctl
}
egw_is_as_saved() {
  [ "kernel=$(egw_kernel | sha256sum | cut -d' ' -f1) ipset=$(egw_ipset | sha256sum | cut -d' ' -f1)" = "$(cut -d' ' -f1,2 $D/digest)" ]
}
egw_stay_closed() {
  if egw_is_saved restore/ipset && ipset -exist restore < $D/restore/ipset &&
    sed -n 's/^create \\(egw-gs-[^ ]*\\) .*/-A EGRESSGATEWAY-BOOT -m set --match-set \\1 src -j DROP/p' $D/restore/ipset | egw_close; then
    echo "pulumi-egress: the datapath could not be put back; selected pods stay closed until pulumi up" >&2
    exit 1
  fi
  egw_close_all
  echo "pulumi-egress: not even the sets could be put back; nothing is forwarded until pulumi up" >&2
  exit 1
}
# Before anything is forwarded: what the stack translates first has ports that programs don't know of. Where they can't be loaded,
# that is drift: the stack alone is right too.
egw_accelerate() {
  grep -q '^program ' $D/restore/bpf 2>/dev/null && egw_is_saved restore/bpf || return 0
  T=$(mktemp -d -p /run egw-boot.XXXXXX) || return 0
  if ! egw_load_bpf $D/restore/bpf; then
    egw_unload_bpf $D/restore/bpf || { egw_tidy_bpf; rm -rf $T; egw_stay_closed; }
    echo "pulumi-egress: the programs could not be loaded; packets take the stack until pulumi up" >&2
  fi
  egw_tidy_bpf
  rm -rf $T
}
egw_main() {
  if [ ! -f $D/${GENERATION} ]; then
    [ -n "$(ls -A $D/claims 2>/dev/null)" ] || exit 0
    egw_close_all
    echo "pulumi-egress: what the last apply saved is gone; nothing is forwarded until pulumi up" >&2
    exit 1
  fi
  exec 9<$D; flock -w 60 9 || exit 1
  egw_close_all || exit 1
  egw_restore && egw_is_as_saved || egw_stay_closed
  egw_accelerate
  egw_open || egw_stay_closed
  egw_kernel_addresses() { awk '$1 == "addr" && $5 != "egw.vxlan" { print $5, $3 }' $D/restore/ip; }
  egw_kernel_addresses | while read -r device address; do arping -q -U -c 2 -I "$device" "\${address%/*}" >/dev/null 2>&1 & done
}
egw_main
`;

/** Before anything that starts pods; nothing else waits for it. */
export const RESTORE_UNIT = `[Unit]
Description=Egress datapath of pulumi-egress
After=network.target network-online.target
Wants=network-online.target
Before=kubelet.service k3s.service k3s-agent.service rke2-agent.service containerd.service docker.service crio.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh ${STATE_DIRECTORY}/restore/run

[Install]
WantedBy=multi-user.target
`;
