import type { NodeMarkArgs } from "../model/args";
import { normalizeFleet } from "../model/defaults";
import type { RegistryEntry } from "../program/registry";
import { session } from "./context";
import { type Label, labelText } from "./label";
import { foreignMembers, settingsMessage, settingsOwner } from "./node-mark-problems";
import type { NodeMarkState } from "./node-mark-state";
import type { Holding } from "./registry-entries";
import { canonical } from "./result";
import type { NodeSession } from "./session";

export const registrySession = ({ fleet }: NodeMarkArgs): NodeSession =>
  session(fleet.registry.node, fleet.registry.connection);

export const holdingOf = (state: NodeMarkState): Holding => ({
  registry: state.fleet.registry,
  fleet: state.fleet.name,
  owner: state.ownerId,
  holder: holderOf(state),
  keys: new Map([
    ["settings", settingsOwner(state)],
    [`mark-${state.index}`, state.ownerId],
  ]),
});

/** Lets go of other marks than the one it has now. */
export const releaseOthers = (state: NodeMarkState): Promise<void> =>
  registrySession(state).release(state.fleet.name, state.ownerId, [`mark-${state.index}`]);

/** One round trip; a clash is refused and names the holder. */
export async function claimMark(state: NodeMarkState): Promise<void> {
  const registry = registrySession(state);
  const entries: RegistryEntry[] = [
    {
      key: "settings",
      owner: settingsOwner(state),
      holder: holderOf(state),
      content: canonical(normalizeFleet(state.fleet)),
    },
    { key: `mark-${state.index}`, owner: state.ownerId, holder: holderOf(state), content: state.mark },
  ];
  const replacing =
    foreignMembers((await registry.snapshot()).registry.get(state.fleet.name)).length === 0 ? ["settings"] : [];
  const clashes = await registry.claim(state.fleet.name, entries, replacing);
  const mark = clashes.find((entry) => entry.key !== "settings");
  if (mark)
    throw new Error(
      `mark ${state.mark} is already held by ${mark.holder} in fleet "${state.fleet.name}". Run again to get a free one.`,
    );
  const settings = clashes[0];
  if (settings) throw new Error(settingsMessage(state.fleet.name, settings));
}

/** Who holds a mark, as the registry says it. */
export const holderOf = (state: { readonly label: Label; readonly node: string }): string =>
  `${labelText(state.label)} (node ${state.node})`;
