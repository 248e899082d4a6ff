import { configValue } from "./context";

/** Nodes that the user has written off by name (`pulumi config set egress:abandon node-a,node-b`): they are gone for good and nothing is done there. */
export function isAbandoned(node: string): boolean {
  const names = (configValue("egress:abandon") ?? "").split(",").map((name) => name.trim());
  return names.includes(node);
}
