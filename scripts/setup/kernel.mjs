import { probe } from "./command.mjs";
import { configProblems } from "./kernel-config.mjs";
import { onPath } from "./machine.mjs";

const rule = (match, target = "-j RETURN") => `iptables -w -t mangle -A PREROUTING ${match} ${target}`;
const nat = (match, target) => `iptables -w -t nat -A POSTROUTING ${match} -j ${target}`;

// What the lab and the nodes ask of the kernel, each as the command that needs it. Later ones build on earlier ones.
const features = {
  "veth devices": "ip link add egw-a type veth peer name egw-b",
  "bridge devices": "ip link add egw-br type bridge",
  "vxlan devices with external metadata": "ip link add egw-x type vxlan external dstport 4790 && ip link set egw-x up",
  "routes with encapsulation": "ip route add 10.0.0.1/32 dev egw-x table 3000 encap ip id 4097 dst 192.168.0.1",
  "policy routing by mark": "ip rule add pref 5000 fwmark 0x26000100/0xffff3f00 table 3000",
  "ipset's hash:net": "ipset create egw-set hash:net && ipset add egw-set 10.0.0.0/8 nomatch",
  "iptables' match set": `ipset list egw-set && ${rule("-m set --match-set egw-set src")}`,
  "iptables' match mark and target MARK": rule("-m mark --mark 1/1", "-j MARK --set-xmark 1/1"),
  "iptables' match connmark and target CONNMARK": rule("-m connmark --mark 1/1", "-j CONNMARK --restore-mark"),
  "iptables' match conntrack": rule("-m conntrack --ctstate NEW --ctdir ORIGINAL ! --ctstatus CONFIRMED"),
  "iptables' match mac": rule("-m mac --mac-source 66:26:00:00:00:01"),
  "iptables' match addrtype": rule("-m addrtype --dst-type LOCAL"),
  "iptables' match comment": rule("-m comment --comment egw"),
  "iptables' target TCPMSS": rule("-p tcp --tcp-flags SYN,RST SYN", "-j TCPMSS --set-mss 1300"),
  "iptables' target SNAT": nat("-s 10.0.0.0/8", "SNAT --to-source 192.0.2.1"),
  "iptables' target MASQUERADE": nat("-s 10.0.0.0/8", "MASQUERADE"),
  "iptables' target DNAT": "iptables -w -t nat -A PREROUTING -d 10.0.0.1 -j DNAT --to-destination 10.0.0.2",
  "iptables' target REJECT": "iptables -w -A FORWARD -p tcp -j REJECT --reject-with tcp-reset",
  "connection tracking by netlink": "conntrack -L",
};

const toolsOf = (command) => [...command.matchAll(/(?:^|&& )(\w+)/g)].map(([, tool]) => tool);
const isTriable = (command) => toolsOf(command).every((tool) => onPath(tool));

/** Tries these features in a network namespace that ends with the probe. One sentence for each that is not there. */
function probeProblems(names) {
  const tries = names.map(
    (name, index) => `e=$( { ${features[name]}; } 2>&1 >/dev/null ) || echo "${index} $e" | head -1`,
  );
  const { ok, out, err } = probe("unshare", ["--net", "--mount", "sh", "-c", tries.join("\n")]);
  if (!ok) {
    return [`The kernel or the container gives no network namespaces (${err.trim()}); a container must be privileged.`];
  }
  return out
    .split("\n")
    .filter(Boolean)
    .map((line) => `The kernel lacks ${names[Number.parseInt(line, 10)]} (${line.replace(/^\d+ /, "")}).`);
}

const known = new Map();

/** What the kernel can't do, as far as it can be told with the tools that are there; asked once for each set of tools. */
function kernelProblems() {
  const names = Object.keys(features).filter((name) => isTriable(features[name]));
  const key = `${onPath("unshare")} ${names}`;
  const isWhole = names.length === Object.keys(features).length;
  if (!known.has(key)) {
    const found = onPath("unshare") ? probeProblems(names) : [];
    known.set(key, found.length > 0 || isWhole ? found : configProblems());
  }
  return known.get(key);
}

/** Refuses a kernel that can't do what the nodes need. Some of its tools come with the Debian packages: it comes before and after them. */
export const kernel = { name: "Kernel", missing: kernelProblems };
