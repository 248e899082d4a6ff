import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The clone that these scripts belong to. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What set-up keeps outside of the clone, so that a second clone finds it. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "pulumi-egress");

/** Where npm's `pulumi` wrapper keeps the CLI of one version, binaries directly inside. */
export function pulumiBin(version) {
  return join(process.env.PULUMI_HOME || join(homedir(), ".pulumi"), "versions", version, "bin");
}
