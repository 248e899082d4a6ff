import type { KernelObject } from "../../provider/kernel/state";

/** How the plain tools show an object of ours, in the words of the lab's dump: with all that the kernel adds to it. */
export function asShown(object: KernelObject): string[] {
  switch (object.kind) {
    case "link": {
      const { name, mac, mtu, port } = object;
      const line = `${name}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu ${mtu} qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000 link/ether ${mac} brd ff:ff:ff:ff:ff:ff`;
      const tunnel = `vxlan external id 0 srcport 0 0 dstport ${port} nolearning ttl auto ageing 300 udpcsum noudp6zerocsumtx noudp6zerocsumrx`;
      return [line, `${line} ${tunnel}`];
    }
    case "sysctl":
      return [`${object.name.replace(/^net\//, "")}:${object.value}`];
    case "address": {
      const { device, address, label } = object;
      const shown = `${device} inet ${address}/32 scope global ${label || device} valid_lft forever preferred_lft forever`;
      return [shown, `local ${address} dev ${device} table local proto kernel scope host src ${address}`];
    }
    case "neighbour":
      return [`${object.address} dev ${object.device} lladdr ${object.mac} PERMANENT`];
    case "route": {
      const { table, leg } = object;
      if (!leg) return [`unreachable default table ${table} proto 38 metric 4096`];
      const encap = `encap ip id ${leg.vni} src 0.0.0.0 dst ${leg.underlay} ttl 0 tos 0`;
      return [`default ${encap} via ${leg.via} dev ${leg.device} table ${table} proto 38 onlink`];
    }
    case "ip-rule": {
      const mark = `0x${object.mark.toString(16)}/0x${object.mask.toString(16)}`;
      return [`${object.preference}: from all fwmark ${mark} lookup ${object.table} proto 38`];
    }
    case "ipset":
      return [
        `create ${object.name} ${object.type} family inet maxelem 1048576${object.timeout > 0 ? " counters comment" : ""}`,
      ];
    case "ipset-member":
      return [`add ${object.set} ${object.element}${object.nomatch ? " nomatch" : ""}`];
    case "chain":
      return [`${object.table} :${object.name} -`];
    case "chain-rule":
    case "hook":
      return [`${object.table} -A ${object.chain} ${object.rule}`];
    case "bpf-map":
    case "bpf-entry":
    case "bpf-program":
      // Their pins are files, and asked for no more than that there are no others.
      return [];
    case "tc-filter": {
      const { device, direction, program } = object;
      const slot = ["from_client", "uplink_gateway"].includes(program) ? 1 : program === "from_outside" ? 2 : 0;
      const place = `${38 + slot} bpf chain 0 handle 0x${1 + slot}`;
      const flags = "direct-action not_in_hw";
      return [`${device} ${direction} filter protocol all pref ${place} egw-${program}:[*fsobj] ${flags} jited`];
    }
    default: {
      const never: never = object;
      return never;
    }
  }
}
