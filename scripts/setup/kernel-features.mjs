const rule = (match, target = "-j RETURN") => `iptables -w -t mangle -A PREROUTING ${match} ${target}`;
const nat = (match, target) => `iptables -w -t nat -A POSTROUTING ${match} -j ${target}`;
const reject = (protocol, answer) => `iptables -w -A FORWARD -p ${protocol} -j REJECT --reject-with ${answer}`;
const folders = "lowerdir=/mnt/l,upperdir=/mnt/u,workdir=/mnt/w";

/**
 * What the nodes and the lab ask of the kernel. Of each: the command that needs it, run in network, mount and UTS
 * namespaces of its own; the options of the kernel's configuration of which it takes one; and the feature without which
 * the command would not tell.
 */
export const features = {
  "network namespaces": { options: ["NET_NS"] },
  "UTS namespaces": { options: ["UTS_NS"], command: "unshare --uts sh -c :" },
  "veth devices": { options: ["VETH"], command: "ip link add egw-a type veth peer name egw-b" },
  "bridge devices": { options: ["BRIDGE"], command: "ip link add egw-br type bridge" },
  "vxlan devices with external metadata": {
    options: ["VXLAN"],
    command: "ip link add egw-x type vxlan external dstport 4790 && ip link set egw-x up",
  },
  "routes with encapsulation": {
    options: ["LWTUNNEL"],
    command: "ip route add 10.0.0.1/32 dev egw-x table 3000 encap ip id 4097 dst 192.168.0.1",
    after: "vxlan devices with external metadata",
  },
  "policy routing by mark": {
    options: ["IP_MULTIPLE_TABLES"],
    command: "ip rule add pref 5000 fwmark 0x26000100/0xffff3f00 table 3000",
  },
  "ipset's hash:net": {
    options: ["IP_SET_HASH_NET"],
    command: "ipset create egw-set hash:net && ipset add egw-set 10.0.0.0/8 nomatch",
  },
  "ipset's hash:ip,port,ip": {
    options: ["IP_SET_HASH_IPPORTIP"],
    command: "ipset create egw-cut hash:ip,port,ip timeout 60 counters comment",
  },
  "ipset's hash:ip": { options: ["IP_SET_HASH_IP"], command: "ipset create egw-ip hash:ip" },
  "ipset's bitmap:port": {
    options: ["IP_SET_BITMAP_PORT"],
    command: "ipset create egw-port bitmap:port range 0-65535",
  },
  "iptables' match set": {
    options: ["NETFILTER_XT_SET"],
    command: rule("-m set --match-set egw-set src"),
    after: "ipset's hash:net",
  },
  "iptables' match mark and target MARK": {
    options: ["NETFILTER_XT_MARK"],
    command: rule("-m mark --mark 1/1", "-j MARK --set-xmark 1/1"),
  },
  "iptables' match connmark and target CONNMARK": {
    options: ["NETFILTER_XT_CONNMARK"],
    command: rule("-m connmark --mark 1/1", "-j CONNMARK --restore-mark"),
  },
  "iptables' match conntrack": {
    options: ["NETFILTER_XT_MATCH_CONNTRACK"],
    command: rule("-m conntrack --ctstate NEW --ctdir ORIGINAL ! --ctstatus CONFIRMED"),
  },
  "iptables' match mac": {
    options: ["NETFILTER_XT_MATCH_MAC"],
    command: rule("-m mac --mac-source 66:26:00:00:00:01"),
  },
  "iptables' match addrtype": {
    options: ["NETFILTER_XT_MATCH_ADDRTYPE"],
    command: rule("-m addrtype --dst-type LOCAL"),
  },
  "iptables' match comment": { options: ["NETFILTER_XT_MATCH_COMMENT"], command: rule("-m comment --comment egw") },
  "iptables' match multiport": {
    options: ["NETFILTER_XT_MATCH_MULTIPORT"],
    command: rule("-p tcp -m multiport --dports 1,2"),
  },
  "iptables' match statistic": {
    options: ["NETFILTER_XT_MATCH_STATISTIC"],
    command: rule("-m statistic --mode random --probability 0.5"),
  },
  "iptables' match rpfilter": {
    options: ["IP_NF_MATCH_RPFILTER"],
    command: rule("-m rpfilter --validmark --invert"),
  },
  "iptables' target TCPMSS": {
    options: ["NETFILTER_XT_TARGET_TCPMSS"],
    command: rule("-p tcp --tcp-flags SYN,RST SYN", "-j TCPMSS --set-mss 1300"),
  },
  "iptables' target SNAT": {
    options: ["NETFILTER_XT_NAT", "NFT_NAT"],
    command: nat("-s 10.0.0.0/8", "SNAT --to-source 192.0.2.1"),
  },
  "iptables' target MASQUERADE": {
    options: ["NETFILTER_XT_TARGET_MASQUERADE", "IP_NF_TARGET_MASQUERADE", "NFT_MASQ"],
    command: nat("-s 10.0.0.0/8", "MASQUERADE"),
  },
  "iptables' target DNAT": {
    options: ["NETFILTER_XT_NAT", "NFT_NAT"],
    command: "iptables -w -t nat -A PREROUTING -d 10.0.0.1 -j DNAT --to-destination 10.0.0.2",
  },
  "iptables' target REJECT": {
    options: ["IP_NF_TARGET_REJECT", "NFT_REJECT_IPV4"],
    command: `${reject("tcp", "tcp-reset")} && ${reject("udp", "icmp-port-unreachable")}`,
  },
  "connection tracking by netlink": { options: ["NF_CT_NETLINK"], command: "conntrack -L" },
  "the file system overlay": {
    options: ["OVERLAY_FS"],
    command: `mount -t tmpfs tmpfs /mnt && mkdir /mnt/l /mnt/u /mnt/w /mnt/m && mount -t overlay overlay -o ${folders} /mnt/m`,
  },
  "the file system bpf": { options: ["BPF_SYSCALL"], command: "mount -t bpf bpf /mnt" },
  "the queueing discipline clsact": { options: ["NET_SCH_INGRESS"], command: "tc qdisc add dev egw-a clsact" },
  "BPF programs as filters of traffic control": { options: ["NET_CLS_BPF"] },
};
