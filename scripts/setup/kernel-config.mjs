import { readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";

// Only what no tool and no module can make up for.
const needed = {
  NET_NS: "network namespaces",
  VETH: "veth devices",
  BRIDGE: "bridge devices",
  VXLAN: "vxlan devices",
  LWTUNNEL: "routes with encapsulation",
  IP_MULTIPLE_TABLES: "policy routing",
  IP_SET_HASH_NET: "ipset's hash:net",
  NETFILTER_XT_SET: "iptables' match set",
  NF_CT_NETLINK: "connection tracking by netlink",
};

/** What the running kernel was built without, one sentence each; none where it doesn't tell how it was built. */
export function configProblems() {
  const config = readConfig();
  if (config === undefined) return [];
  return Object.entries(needed)
    .filter(([option]) => !new RegExp(`^CONFIG_${option}=[ym]$`, "m").test(config))
    .map(([option, what]) => `The kernel was built without ${what} (CONFIG_${option}).`);
}

function readConfig() {
  const ways = [
    () => gunzipSync(readFileSync("/proc/config.gz")).toString(),
    () => readFileSync(`/boot/config-${release()}`, "utf8"),
  ];
  for (const read of ways) {
    try {
      return read();
    } catch {
      // This kernel or distribution keeps it elsewhere or not at all.
    }
  }
  return undefined;
}
