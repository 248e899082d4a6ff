import type { Problem } from "../model/args";

interface Host {
  readonly unfit: readonly string[];
}

/** Why nothing can be changed on a node that has programs of ours and no tool for them: they would go on as they are, unseen. */
export const unreadPrograms = ({ unfit }: Host): string | undefined =>
  unfit.includes("programs-unread")
    ? "programs of ours are on it, and without a bpftool that runs they can be neither read nor changed. Install bpftool there."
    : undefined;

/** The same of all nodes of a resource. */
export function unreadProblems(
  looked: ReadonlyMap<string, { readonly snapshot?: { readonly host: Host } }>,
  pathOf: (node: string) => string,
): Problem[] {
  return [...looked].flatMap(([node, { snapshot }]): Problem[] => {
    const reason = snapshot && unreadPrograms(snapshot.host);
    return reason === undefined ? [] : [{ path: pathOf(node), message: `node ${node}: ${reason}` }];
  });
}
