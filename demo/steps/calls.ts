import { podCall } from "../../test/lab";
import { egressIP, type Scene, selectedPods, unselectedPod } from "../scene";

/** Every pod by its node's address: nothing is programmed. */
export async function callsByNode(scene: Scene): Promise<void> {
  for (const pod of [...selectedPods, unselectedPod]) await call(scene, pod, nodeOf(scene, pod));
}

/** The selected pods by the egress IP, wherever they run; the others as before. */
export async function callsByEgressIP(scene: Scene): Promise<void> {
  for (const pod of selectedPods) await call(scene, pod, egressIP);
  await call(scene, unselectedPod, nodeOf(scene, unselectedPod));
}

async function call({ lab, story }: Scene, pod: string, expected: string): Promise<void> {
  const [outside] = lab.outside;
  if (outside === undefined) throw new Error("a lab without an outside");
  const { source, error } = await podCall(lab, pod, outside.address);
  const whose = expected === egressIP ? "the egress IP" : "its node";
  story.claim(
    `${pod} calls ${outside.name}, which sees ${expected} (${whose})`,
    expected,
    source ?? `no answer: ${error}`,
  );
}

function nodeOf({ lab }: Scene, name: string): string {
  const pod = lab.pods.find((one) => one.name === name);
  const node = lab.nodes.find((one) => one.name === pod?.node);
  if (node === undefined) throw new Error(`the lab has no pod ${name}`);
  return node.underlayIP;
}
