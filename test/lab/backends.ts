import type { ServiceName } from "./address-plan";
import { execOk } from "./exec";
import { backendsRestore } from "./kube-proxy";
import { defaultBackends } from "./node-rules";
import type { Lab } from "./topology";

/**
 * Puts other pods (names) behind services on every node, as kube-proxy would; labReset takes it back. Flows of datagrams to a service,
 * which nothing ends, would go on to the pods before: kube-proxy takes them away too.
 */
export async function setBackends(lab: Lab, wanted: Partial<Record<ServiceName, readonly string[]>>): Promise<void> {
  const addresses = Object.fromEntries(
    Object.entries(wanted).map(([service, pods]) => [service, pods.map((name) => podAddressOf(lab, name))]),
  );
  const input = backendsRestore({ ...defaultBackends(lab), ...addresses });
  const byDatagrams = Object.values(lab.services).filter(({ protocol }) => protocol === "udp");
  const forget = byDatagrams.map(({ clusterIP }) => `conntrack -D -p udp --orig-dst ${clusterIP} >&2 || true`);
  const script = ["set -e", "iptables-restore --noflush", ...forget].join("\n");
  await Promise.all(lab.nodes.map((node) => execOk(lab, node.name, ["sh", "-c", script], { input })));
}

function podAddressOf(lab: Lab, name: string): string {
  const pod = lab.pods.find((candidate) => candidate.name === name);
  if (pod === undefined) throw new Error(`lab "${lab.name}" has no pod ${JSON.stringify(name)}`);
  return pod.address;
}
