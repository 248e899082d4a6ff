import type { Lab } from "./topology";

/** Prints a lab for a person, or whole as JSON. */
export function printStatus(lab: Lab, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(lab, undefined, 2)}\n`);
    return;
  }
  const { clients, gateways, cni, masq, mtu } = lab.options;
  const lines = [
    `lab "${lab.name}" (${lab.state}): ${clients} client and ${gateways} gateway nodes, cni ${cni}, masq ${masq}, mtu ${mtu}`,
    ...lab.hosts.map((host) => row(host.name, host.namespace, host.addresses.join(" "))),
    ...lab.pods.map((pod) => row(pod.name, pod.namespace, pod.address)),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

function row(name: string, namespace: string, addresses: string): string {
  return `  ${name.padEnd(18)} ${namespace.padEnd(30)} ${addresses}`;
}
