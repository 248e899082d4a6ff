import { delimiter, dirname } from "node:path";
import { machinesFolder } from "./machines.mjs";
import { nodePath } from "./node22.mjs";
import { pulumiPath } from "./pulumi-cli.mjs";

/**
 * What to put into the environment of anything that uses what set-up brought: PATH finds Node 22 and the Pulumi CLI
 * first, EGW_NODE and EGW_PULUMI name them; EGW_MACHINES is the folder of the emulated machines.
 */
export function toolEnv() {
  const node = nodePath();
  const pulumi = pulumiPath();
  const first = [dirname(node), ...(pulumi ? [dirname(pulumi)] : [])];
  const others = (process.env.PATH ?? "").split(delimiter).filter((directory) => !first.includes(directory));
  return {
    PATH: [...first, ...others].join(delimiter),
    EGW_NODE: node,
    ...(pulumi && { EGW_PULUMI: pulumi }),
    EGW_MACHINES: machinesFolder,
    PULUMI_SKIP_UPDATE_CHECK: "1",
  };
}
