import { spawn } from "node:child_process";
import { enter, exec, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const SELECTED = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const KUBELET = 10_250;
/** Says whom it sees, as the lab's own servers do. */
const SERVER = `import socket
server = socket.create_server(("", ${KUBELET}))
while True:
    connection, peer = server.accept()
    connection.sendall(f"{peer[0]} {peer[1]}\\n".encode())
    connection.close()
`;

/** Whom the outside sees when a node itself calls, as pods in its network do. */
async function nodeShows(lab: Lab, node: string): Promise<string> {
  const [target] = lab.outside;
  const call = `exec 3<>/dev/tcp/${target?.address}/${target?.ports.tcp}; read -r source port <&3; echo $source`;
  return (await exec(lab, node, ["timeout", "1", "bash", "--norc", "-c", call])).stdout.trim();
}

scenario(
  "nodes and host-network pods keep their own address, also where a policy's sources contain it",
  {},
  async (scene) => {
    const { lab, stack, oracle, change } = scene;
    const all = lab.pods.map(({ name }) => name);
    for (const { name, underlayIP } of lab.nodes) oracle.expect(name, { sources: [underlayIP] });
    const program = [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" } }),
      policyOf("everything", "gateway", [lab.ranges.pods, lab.ranges.nodes]),
    ];
    await change(all, () => stack.up(program), { to: [EGRESS] });
    const shown = await Promise.all(lab.nodes.map(({ name }) => nodeShows(lab, name)));
    expect(shown).toEqual(lab.nodes.map(({ underlayIP }) => underlayIP));
    const pods = await Promise.all(all.map((pod) => podCall(lab, pod, lab.outside[0]?.address ?? "")));
    expect(pods.map(({ source }) => source)).toEqual(all.map(() => EGRESS));
    await change(all, () => stack.destroy(), { established: "cut" });
  },
);

scenario(
  "what listens on a gateway node is not reachable by the egress IP, unless the gateway says so",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const program = (inbound: "drop" | "allow") => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" }, inbound }),
      policyOf("policy", "gateway", addressesOf(lab, SELECTED)),
    ];
    const [command = "", ...words] = [...enter(lab, "gateway-1"), "python3", "-c", SERVER];
    const kubelet = spawn(command, words, { stdio: "ignore" });
    const call = async (from: string, address: string) => {
      const { source, error } = await podCall(lab, from, { address, port: KUBELET }, { timeoutMs: 1000 });
      return source === undefined ? error : "answered";
    };
    const all = ["outside-1", "pod-client-1-1", "pod-client-2-2", "pod-gateway-1-1"];
    const calls = (address: string) => Promise.all(all.map((from) => call(from, address)));
    try {
      await change(SELECTED, () => stack.up(program("drop")), { to: [EGRESS] });
      expect(await calls(EGRESS)).toEqual(all.map(() => "timeout"));
      expect((await podCall(lab, "outside-1", EGRESS, { proto: "icmp", timeoutMs: 1000 })).error).toBe("timeout");
      expect(await calls("192.168.0.101")).toEqual(all.map(() => "answered"));
      expect((await podCall(lab, "pod-client-1-1", lab.outside[0]?.address ?? "")).source).toBe(EGRESS);
      await stack.up(program("allow"));
      expect(await calls(EGRESS)).toEqual(all.map(() => "answered"));
    } finally {
      kubelet.kill();
    }
    await change(SELECTED, () => stack.destroy(), { established: "cut" });
  },
);
