import { type Lab, podCall } from "../../test/lab";
import type { Path } from "./paths";

/** @throws Error if the outside sees another source than the path is meant to have. */
export async function verifyPaths(
  lab: Lab,
  paths: readonly (Pick<Path, "pod" | "address" | "source"> & { readonly name: string })[],
): Promise<void> {
  for (const { name, pod, address, source } of paths) {
    const seen = await podCall(lab, pod, address, { timeoutMs: 5000 });
    if (seen.source !== source)
      throw new Error(`path ${name}: the outside should see ${source} and sees ${seen.source ?? seen.error}`);
  }
}
