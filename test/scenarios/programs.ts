import { HOOKS, VERDICTS } from "../../provider/kernel/bpf-layout";
import { BPF_DIRECTORY, MAPS } from "../../provider/program/bpf";
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

/** The device by which a pod is routed on its node, where each has one of its own. */
export function podDevice(lab: Lab, name: string): string {
  const pod = lab.pods.find((one) => one.name === name);
  if (!pod) throw new Error(`no pod ${name}`);
  return `pod${pod.index}`;
}
