import { createHash } from "node:crypto";
import { ENABLED, FILE, FOLDERS, GENERATION, RUN, SAVED, SUMS, SYSTEMD, UNIT } from "../program/files";
import type { Sections } from "../program/frame";
import { RESTORE_PROGRAM, RESTORE_UNIT } from "../program/restore";

/** The files of ours on a node, each with its digest. */
export interface NodeFiles {
  readonly there: ReadonlyMap<string, string>;
  /** What the last apply left in `SAVED`; empty where its record is not whole. */
  readonly recorded: ReadonlyMap<string, string>;
}

/** What a node's manifest says of its files, and what they are. */
interface Enrolled {
  readonly generation: number;
  readonly node?: { readonly restore: Readonly<Record<string, string>> } | undefined;
  readonly files: NodeFiles;
  readonly host?: { readonly netns?: string | undefined };
  readonly misread: readonly string[];
}

const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The boot program and its unit as this version has them; `node.json` says which of them a node was given. */
export const RESTORE_DIGESTS: Readonly<Record<string, string>> = {
  [RUN]: digestOf(RESTORE_PROGRAM),
  [UNIT]: digestOf(RESTORE_UNIT),
};

export function parseFiles(sections: Sections): NodeFiles {
  const recorded = entriesOf(sections.get("files-recorded") ?? "");
  const isWhole = recorded.map(([name]) => name).join() === SAVED.join();
  return { there: new Map(entriesOf(sections.get("files") ?? "")), recorded: new Map(isWhole ? recorded : []) };
}

/** Name and digest of each line; a line that is none has neither. */
const entriesOf = (text: string): [string, string][] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [, digest = "", name = ""] = /^([0-9a-f]{64}|-) [ *](\S+)$/.exec(line) ?? [];
      return [name, digest];
    });

/** One line a file that is not as the last apply left it, on a node that is enrolled. */
export function fileDrift(snapshot: Enrolled): string[] {
  const { there } = snapshot.files;
  const wanted = wantedFiles(snapshot);
  const differing = [...wanted].flatMap(([name, digest]) => {
    const found = there.get(name);
    if (found === undefined) return [`missing  ${FILE} ${name}`];
    return digest === undefined || digest === found ? [] : [`changed  ${FILE} ${name}`];
  });
  const misread = snapshot.misread.map((id) => `changed  ${FILE} claims/${id}.json`);
  const isExtra = (name: string): boolean => FOLDERS.some((folder) => name.startsWith(folder)) && !wanted.has(name);
  const extra = [...there.keys()].filter(isExtra);
  return [...differing, ...misread, ...extra.map((name) => `extra    ${FILE} ${name}`)].sort();
}

/** Each file that is to be there with its digest; without one, all that can be asked is that it is there. */
function wantedFiles({ generation, node, files, host }: Enrolled): ReadonlyMap<string, string | undefined> {
  const { there, recorded } = files;
  const unit: [string, string | undefined][] = [
    [UNIT, node?.restore[UNIT]],
    [ENABLED, "-"],
  ];
  return new Map<string, string | undefined>([
    ...SAVED.map((name) => [name, recorded.get(name)] as const),
    [GENERATION, digestOf(`${generation}\n`)],
    ...(host?.netns === undefined ? [[RUN, node?.restore[RUN]] as const] : []),
    [SUMS, recorded.size > 0 ? undefined : "whole"],
    ...(there.has(SYSTEMD) ? unit : []),
  ]);
}
