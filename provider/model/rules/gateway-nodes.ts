import type { Problem } from "../args";
import { type At, at, items, number, text } from "../at";
import { quote } from "../problem";

interface NodeAt {
  readonly path: string;
  readonly name: string | undefined;
  readonly place: At;
}

/** No node is twice in one list. */
export function distinctNodesRule(list: At): Problem[] {
  const first = new Map<string, string>();
  return nodesAt(list).flatMap(({ path, name }) => {
    if (name === undefined) return [];
    const other = first.get(name);
    first.set(name, other ?? path);
    return other === undefined
      ? []
      : [{ path, message: `Node ${quote(name)} is in the list already, at ${other}. Remove one of them.` }];
  });
}

/** Different nodes have different marks and addresses. */
export function distinctMarksRule(args: At): Problem[] {
  const nodes = allNodes(args);
  return [
    ...clashes(nodes, ({ place }) => number(at(place, "index")), "the mark"),
    ...clashes(nodes, ({ place }) => text(at(place, "underlayIP")), "the underlayIP"),
  ];
}

/** A node that is a gateway node and a client node is the same node in both lists. */
export function sameNodeRule(args: At): Problem[] {
  const gateways = nodesAt(at(args, "gateways"));
  return nodesAt(at(args, "clients")).flatMap(({ path, name, place }) => {
    const twin = gateways.find((node) => name !== undefined && node.name === name);
    const marks = [place, twin?.place].map((node) => node && number(at(node, "index")));
    if (twin === undefined || marks.includes(undefined) || marks[0] === marks[1]) return [];
    return [
      {
        path,
        message: `Node ${quote(name)} has another mark than at ${twin.path}. Pass the ref of one NodeMark to both.`,
      },
    ];
  });
}

/** All nodes are in one fleet: that of the first gateway node. */
export function oneFleetRule(args: At): Problem[] {
  const [first, ...rest] = allNodes(args);
  const fleet = first && text(at(first.place, "fleet"));
  if (first === undefined || fleet === undefined) return [];
  return rest.flatMap(({ path, name, place }) => {
    const other = text(at(place, "fleet"));
    if (other === undefined || other === fleet) return [];
    const node = name === undefined ? "The node" : `Node ${quote(name)}`;
    return [
      {
        path,
        message: `${node} is in fleet ${quote(other)}, but ${first.path} is in ${quote(fleet)}. Use nodes of one fleet.`,
      },
    ];
  });
}

function clashes(
  nodes: readonly NodeAt[],
  key: (node: NodeAt) => string | number | undefined,
  what: string,
): Problem[] {
  const first = new Map<string | number, NodeAt>();
  return nodes.flatMap((node) => {
    const value = key(node);
    if (value === undefined || node.name === undefined) return [];
    const other = first.get(value) ?? node;
    first.set(value, other);
    if (other.name === node.name) return [];
    return [
      {
        path: node.path,
        message: `Node ${quote(node.name)} has ${what} of node ${quote(other.name)} at ${other.path}. Pass each NodeMark's own ref.`,
      },
    ];
  });
}

function allNodes(args: At): NodeAt[] {
  return [...nodesAt(at(args, "gateways")), ...nodesAt(at(args, "clients"))];
}

function nodesAt(list: At): NodeAt[] {
  return items(list).map((place) => ({ path: place.path, name: text(at(place, "node")), place }));
}
