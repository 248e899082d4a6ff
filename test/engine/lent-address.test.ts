import { spawnSync } from "node:child_process";
import { LEND_FUNCTION, PROBE_FUNCTIONS } from "../../provider/program/shell-probe";

/** What comes to a pod while each line of a batch is done: `ip` tells after each of them where the kernel would send it. */
const WATCHED = `mkdir /run/tools; cat > /run/tools/ip <<'END'
#!/bin/sh
case "$*" in *-batch*)
  while read -r line; do
    /sbin/ip -4 $line 2>&1
    { /sbin/ip route get 10.1.0.5 2>&1 || :; } | head -n 1 >> /run/ways
  done ;;
*) exec /sbin/ip "$@" ;;
esac
END
chmod +x /run/tools/ip; PATH=/run/tools:$PATH`;

/** A node whose CNI has given the pod's device routes and a neighbour, but no address. */
const NODE = `mount -t tmpfs tmpfs /run
ip link set lo up; ip link add eth0 type veth peer name switch; ip addr add 192.168.0.101/24 dev eth0
ip link set eth0 up; ip link set switch up; ip route add default via 192.168.0.1
ip link add pod type veth peer name inside; ip link set pod up; ip link set inside up
ip route add 10.1.0.5 dev pod scope link; ip route add 10.1.8.0/24 via 10.1.0.5 dev pod onlink
ip route add 10.1.9.0/24 dev pod table 77
ip neigh add 10.1.0.5 lladdr 02:00:00:00:00:05 dev pod nud permanent`;

const all = "ip -4 route show table all | sort; ip -4 neigh show nud permanent; ip -4 -o addr show dev pod";

test("an address that was lent to a pod's device goes without its routes, and nothing goes astray meanwhile", () => {
  const script = `${NODE}
${PROBE_FUNCTIONS}
${LEND_FUNCTION}
{ ${all}; } > /run/before
egw_lend net/ipv4/conf/pod/rp_filter 192.168.0.101
ip -4 -o addr show dev pod | grep -c 'inet 192.168.0.101/32 '
${WATCHED}
egw_lend net/ipv4/conf/pod/rp_filter - || echo failed
{ ${all}; } | diff /run/before - && echo same
sed 's/ .*//' /run/ways | sort | uniq -c; grep -c eth0 /run/ways`;
  const unshare = ["--net", "--mount", "--propagation", "private", "sh", "-s"];
  const { stdout, stderr } = spawnSync("unshare", unshare, { input: script, encoding: "utf8" });
  const [lent, same, ...ways] = stdout.trim().split("\n");
  expect({ lent, same, stderr }).toEqual({ lent: "1", same: "same", stderr: "" });
  // By the device, or nowhere; never by the uplink.
  expect(ways.at(-1)).toBe("0");
  expect(ways.join()).toMatch(/RTNETLINK/);
});
