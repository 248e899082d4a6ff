import * as byHand from "../../test/engine/by-hand";
import { changedIn } from "../../test/engine/preview";
import { egressIP, type PulumiScene, runPulumi, type Scene } from "../scene";

export interface Broken extends byHand.Removed {
  /** The resource that owns it. */
  readonly owner: string;
}

/** Removes one object of each kind, each on the node where it lies, and says how. */
export async function breakByHand({ lab, story }: Scene): Promise<Broken[]> {
  const gateway = lab.nodes.find(({ role }) => role === "gateway");
  const [pod] = lab.pods.filter(({ node }) => node === "client-2");
  if (gateway === undefined || pod === undefined) throw new Error("a lab without gateway or pod");
  const broken: Broken[] = [
    { owner: "EgressPolicy checkout", ...(await byHand.removeChoosingRule(lab, "client-1")) },
    { owner: "EgressPolicy checkout", ...(await byHand.removeSource(lab, "client-2", pod.address)) },
    { owner: "EgressGateway payments", ...(await byHand.removeLegRoute(lab, "client-1", gateway.underlayIP)) },
    { owner: "EgressGateway payments", ...(await byHand.removeAddress(lab, gateway.name, egressIP)) },
  ];
  for (const { node, command } of broken) story.screen.command(`${command.join(" ")}`, node);
  return broken;
}

/** A preview names what is broken, object by object, in the resources that own it, and nothing else. */
export async function previewDrift(scene: PulumiScene, broken: readonly Broken[]): Promise<void> {
  await runPulumi(scene, ["preview", "--expect-no-changes"], 7);
  const json = ["preview", "--expect-no-changes", "--json"];
  scene.story.screen.command(`pulumi ${json.join(" ")}   # steps[].newState.inputs.drift`);
  const result = await scene.project.run(json);
  scene.story.ran(result);
  const changed = changedIn(result.stdout);
  const lines = changed.flatMap(({ type, name, drift }) =>
    Object.entries(drift).flatMap(([node, found]) => found.map((line) => ({ owner: `${type} ${name}`, node, line }))),
  );
  for (const { owner, node, line } of lines) scene.story.screen.quote(`${owner} · ${node}: ${line}`);
  scene.story.claim("exit code 7", 7, result.code);
  const owners = [...new Set(broken.map(({ owner }) => owner))].sort();
  const seen = changed.map(({ type, name, op }) => `${op} ${type} ${name}`).sort();
  scene.story.claim(
    "only the resources that own them change",
    owners.map((owner) => `update ${owner}`),
    seen,
  );
  for (const { owner, node, kind, shows } of broken) {
    const found = lines.filter((one) => one.owner === owner && one.node === node && one.line.startsWith(shows));
    scene.story.claim(`it names the ${kind} that is gone on ${node}`, 1, found.length);
  }
  scene.story.claim("it names nothing else", broken.length, lines.length);
}
