import type { ConnectionRef } from "./connection";

/** Nodes as a policy's state keeps them: what their connections share once, and a line for each node. */
export interface CompactNodes {
  /** What all connections have in common. */
  readonly connection: Partial<ConnectionRef>;
  /** Node name → its host, or where more differs, the differing fields as JSON. */
  readonly nodes: Readonly<Record<string, string>>;
}

type Fields = Record<string, unknown>;

/** Small: 1,000 policies each carry all nodes of their gateway, twice. */
export function compactNodes(
  nodes: readonly { readonly node: string; readonly connection: ConnectionRef }[],
): CompactNodes {
  const all = nodes.map(({ connection }) => connection as unknown as Fields);
  const isShared = (key: string, value: unknown): boolean =>
    key !== "host" && all.every((one) => JSON.stringify(one[key]) === JSON.stringify(value));
  const connection = Object.fromEntries(Object.entries(all[0] ?? {}).filter(([key, value]) => isShared(key, value)));
  const lines = nodes.map(({ node }, i): [string, string] => {
    const own = Object.fromEntries(Object.entries(all[i] ?? {}).filter(([key]) => !(key in connection)));
    return [node, Object.keys(own).length === 1 ? String(own.host) : JSON.stringify(own)];
  });
  return { connection: connection as Partial<ConnectionRef>, nodes: Object.fromEntries(lines) };
}

/** The nodes with their whole connections, sorted by name. */
export function expandNodes({ connection, nodes }: CompactNodes): { node: string; connection: ConnectionRef }[] {
  return Object.entries(nodes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([node, line]) => {
      const own = line.startsWith("{") ? (JSON.parse(line) as Partial<ConnectionRef>) : { host: line };
      return { node, connection: { host: "", ...connection, ...own } };
    });
}
