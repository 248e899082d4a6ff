import type { ExecResult, Transport } from "../../provider/transport/transport";

interface AnsweringNode {
  readonly claims: Map<string, string>;
  file: string;
  generation: number;
}

const host = (underlayIP: string): string => `@@facts
kernel 6.1.0
hostname node
iptables iptables v1.8.9 (nf_tables)
src_valid_mark 0
ip_forward 1
@@host-addresses
eth0 ${underlayIP}/24
@@host-links
eth0 1500 ether
@@host-routes
default via 192.168.0.1 dev eth0
192.168.0.0/24 dev eth0 proto kernel scope link src ${underlayIP}
@@host-tables
main
@@end
`;

/**
 * Nodes that take every batch and say that all is as it was asked for: enough to run the provider's check and create,
 * and to see what they keep in state. Says nothing about kernels.
 */
export function answeringNodes(): Transport {
  const nodes = new Map<string, AnsweringNode>();
  const nodeNamed = (name: string): AnsweringNode => {
    const node = nodes.get(name) ?? { claims: new Map<string, string>(), file: "", generation: 0 };
    nodes.set(name, node);
    return node;
  };
  return {
    run: async (name, connection, script): Promise<ExecResult> => {
      const stdout = script.includes("@@claimed")
        ? "@@claimed\n@@end\n"
        : answerTo(script, nodeNamed(name), connection.host);
      return { code: 0, stdout, stderr: "" };
    },
    counters: () => ({ handshakes: 0, roundTrips: 0, bytesOut: 0, bytesIn: 0 }),
    close: async () => undefined,
  };
}

function answerTo(script: string, node: AnsweringNode, underlayIP: string): string {
  const isBatch = script.includes("@@applied");
  if (isBatch) take(script, node);
  const same = node.generation > 0 ? "@@same-kernel\n@@same-ipset\n" : "";
  const claims = [...node.claims].map(([file, claim]) => `${file.slice("claim.".length)} ${claim}\n`).join("");
  const manifest = `@@generation\n${node.generation}\n@@node\n${node.file}\n@@claims\n${claims}`;
  return `${isBatch ? "@@applied\n" : ""}${same}${manifest}${host(underlayIP)}`;
}

/** A batch carries each claim and the manifest's file as a here-document of one line. */
function take(script: string, node: AnsweringNode): void {
  for (const [, file = "", line = ""] of script.matchAll(
    /^cat > \$T\/(claim\.\S+|node) <<'\w+' \|\| egw_full\n(.*)$/gm,
  )) {
    if (file === "node") node.file = line;
    else node.claims.set(file, line);
  }
  node.generation++;
}
