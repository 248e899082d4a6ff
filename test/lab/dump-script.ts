/**
 * Prints all that can be seen of a node from inside it, in sections, with the plain tools.
 * $1 is the directory that holds what the node wrote over the machine's own files.
 */
export const dumpScript = `
export LC_ALL=C
echo '== links'; ip -o link; ip -d -o link show type vxlan
echo '== addresses'; ip -o addr
echo '== routes'; ip route show table all
echo '== rules'; ip rule
echo '== neighbours'; ip neigh show nud permanent; ip neigh show proxy
echo '== forwarding'; bridge fdb show | grep ' dst '
echo '== filters'; tc qdisc show | while read -r _ kind _ _ device _; do
  [ "$kind" = clsact ] || continue
  echo "clsact $device"
  for hook in ingress egress; do tc filter show dev "$device" $hook | grep handle | sed "s/^/$device $hook /"; done
done
echo '== ipset'; ipset save
echo '== iptables'; iptables-save
echo '== sysctls'
cd /proc/sys/net
grep -s . ipv4/ip_forward ipv4/conf/*/rp_filter ipv4/conf/*/src_valid_mark ipv4/conf/*/forwarding \\
  ipv4/conf/*/accept_local ipv4/conf/*/route_localnet ipv4/conf/*/proxy_arp ipv4/conf/*/send_redirects \\
  ipv4/conf/*/arp_ignore ipv4/conf/*/arp_announce ipv4/conf/*/arp_notify ipv4/conf/*/disable_policy \\
  ipv4/ip_local_port_range netfilter/nf_conntrack_tcp_be_liberal
echo '== files'
find /run /root /tmp /sys/fs/bpf -mindepth 1 ! -type s ! -name 'maps.debug' ! -name 'progs.debug' ! -name xtables.lock -printf '%y %p\\n'
`;

/** What a node wrote over the machine's own files, with sums of the contents; run on the machine. */
export const writtenFilesScript = `
cd "$1"
find . -mindepth 1 \\( -path ./var/log -o -path ./var/cache -o -path ./var/tmp \\) -prune -o ! -type d ! -type f -printf '%y %P\\n' \\
  -o -type d -printf '%y %P\\n' -o -type f -exec sha256sum {} +
`;
