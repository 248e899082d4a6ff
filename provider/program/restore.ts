import { PROBE_FUNCTIONS, STATE_DIRECTORY } from "./shell-probe";

/**
 * The program that puts a node's state back at boot, from what the last apply saved beside it.
 * Forwarding is closed from its first command until the kernel shows exactly what was there after the last apply;
 * where that can't be reached, the selected sources stay closed.
 */
export const RESTORE_PROGRAM = `#!/bin/sh
# Puts the egress datapath back at boot. Written by pulumi-egress; removed by pulumi destroy.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C
D=${STATE_DIRECTORY}
${PROBE_FUNCTIONS}
egw_boot_chain() {
  { echo '*mangle'; echo ':EGRESSGATEWAY-BOOT - [0:0]'; cat; echo COMMIT; } | iptables-restore -w 60 --noflush
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
  ipset -exist restore < $D/restore/ipset && egw_hooks_in_place | iptables-restore -w 60 --noflush || return 1
  ip -force -batch $D/restore/ip
  while read -r name e value; do echo "$value" > /proc/sys/$name; done < $D/restore/sysctl
}
egw_is_as_saved() {
  iptables -w 60 -t mangle -D FORWARD -j EGRESSGATEWAY-BOOT && iptables -w 60 -t mangle -F EGRESSGATEWAY-BOOT && iptables -w 60 -t mangle -X EGRESSGATEWAY-BOOT || return 1
  [ "kernel=$(egw_kernel | sha256sum | cut -d' ' -f1) ipset=$(egw_ipset | sha256sum | cut -d' ' -f1)" = "$(cat $D/digest)" ]
}
egw_stay_closed() {
  if [ "$(ipset list -n 2>/dev/null | grep -c '^egw-gs-')" != "$(grep -c '^create egw-gs-' $D/restore/ipset)" ]; then
    { echo '-A EGRESSGATEWAY-BOOT -j DROP'; iptables -w 60 -t mangle -C FORWARD -j EGRESSGATEWAY-BOOT 2>/dev/null || echo '-I FORWARD 1 -j EGRESSGATEWAY-BOOT'; } | egw_boot_chain
    echo "pulumi-egress: not even the sets could be put back; nothing is forwarded until pulumi up" >&2
    exit 1
  fi
  { for s in $(ipset list -n | grep '^egw-gs-'); do echo "-A EGRESSGATEWAY-BOOT -m set --match-set $s src -j DROP"; done
    iptables -w 60 -t mangle -C FORWARD -j EGRESSGATEWAY-BOOT 2>/dev/null || echo '-I FORWARD 1 -j EGRESSGATEWAY-BOOT'; } | egw_boot_chain
  echo "pulumi-egress: the datapath could not be put back; selected pods stay closed until pulumi up" >&2
  exit 1
}
egw_main() {
  [ -f $D/generation ] || exit 0
  exec 9<$D; flock -w 60 9 || exit 1
  printf '%s\\n' '-A EGRESSGATEWAY-BOOT -j DROP' '-I FORWARD 1 -j EGRESSGATEWAY-BOOT' | egw_boot_chain || exit 1
  egw_restore && egw_is_as_saved || egw_stay_closed
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
