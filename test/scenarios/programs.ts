import { encode, HOOKS, VERDICTS } from "../../provider/kernel/bpf-layout";
import { BPF_DIRECTORY, MAPS } from "../../provider/program/bpf-maps";
import { execOk, type Lab } from "../lab";

const bytesOf = (words: readonly string[]): Buffer => Buffer.from(words.map((word) => Number.parseInt(word, 16)));

const dumped = async <T>(lab: Lab, node: string, map: string): Promise<T[]> => {
  const pin = `${BPF_DIRECTORY}/${MAPS}/${map}`;
  return JSON.parse(await execOk(lab, node, ["bpftool", "-j", "map", "dump", "pinned", pin])) as T[];
};

/** The entries of a map of a node. */
export async function entriesOf(lab: Lab, node: string, map: string): Promise<{ key: Buffer; value: Buffer }[]> {
  const found = await dumped<{ readonly key: string[]; readonly value: string[] }>(lab, node, map);
  return found.map(({ key, value }) => ({ key: bytesOf(key), value: bytesOf(value) }));
}

/** `hook verdict` → how often, on a node. */
export async function counted(lab: Lab, node: string): Promise<Map<string, number>> {
  const found = await dumped<{ readonly key: string[]; readonly values: { readonly value: string[] }[] }>(
    lab,
    node,
    "egw_verdicts",
  );
  return new Map(
    found.map(({ key, values }) => {
      const index = bytesOf(key).readUInt32LE();
      const sum = values.reduce((total, { value }) => total + Number(bytesOf(value).readBigUInt64LE()), 0);
      return [`${HOOKS[Math.floor(index / VERDICTS.length)]} ${VERDICTS[index % VERDICTS.length]}`, sum];
    }),
  );
}

/** As if connections of another node's pod had each port of an egress IP towards a server's, by one protocol (its number). */
export async function takePorts(
  lab: Lab,
  node: string,
  taken: { readonly egressIP: string; readonly server: string; readonly port: number; readonly protocol: number },
): Promise<void> {
  const { egressIP, server, port, protocol } = taken;
  const [uptime] = (await execOk(lab, node, ["cat", "/proc/uptime"])).split(" ");
  // A minute ahead, so that none of them ends while the others come.
  const seen = BigInt(Math.round((Number(uptime) + 60) * 1e9));
  const update = (map: string, key: Buffer, value: Buffer) =>
    `map update pinned ${BPF_DIRECTORY}/${MAPS}/${map} key ${[...key].join(" ")} value ${[...value].join(" ")}\n`;
  const lines = Array.from({ length: 65_535 }, (_, index) => {
    const own = index + 1;
    const sent = { source: "10.9.0.1", destination: server, source_port: own, destination_port: port, protocol };
    const answer = { source: server, destination: egressIP, source_port: port, destination_port: own, protocol };
    const client = { client: "192.168.0.99", client_mac: "66:26:00:00:00:63" };
    const nat = encode("egw_nat", { seen, egress_ip: egressIP, port: own, state: 0, ...client });
    return (
      update("egw_nat_in", encode("egw_tuple", answer), encode("egw_tuple", sent)) +
      update("egw_nat_out", encode("egw_tuple", sent), nat)
    );
  });
  await execOk(lab, node, ["sh", "-c", "cat > /run/ports && bpftool batch file /run/ports; rm /run/ports"], {
    input: lines.join(""),
  });
}

/** The device by which a pod is routed on its node, where each has one of its own. */
export function podDevice(lab: Lab, name: string): string {
  const pod = lab.pods.find((one) => one.name === name);
  if (!pod) throw new Error(`no pod ${name}`);
  return `pod${pod.index}`;
}
