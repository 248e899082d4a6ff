import { readFileSync } from "node:fs";
import { release } from "node:os";
import { gunzipSync } from "node:zlib";
import { features } from "./kernel-features.mjs";

/** What of these features the running kernel was built without, one sentence each; none where it doesn't tell how it was built. */
export function configProblems(names) {
  const config = readConfig();
  if (config === undefined) return [];
  const has = (option) => new RegExp(`^CONFIG_${option}=[ym]$`, "m").test(config);
  return names
    .filter((name) => !features[name].options.some(has))
    .map((name) => `The kernel was built without ${name} (CONFIG_${features[name].options.join(" or CONFIG_")}).`);
}

function readConfig() {
  const ways = [
    () => gunzipSync(readFileSync("/proc/config.gz")).toString(),
    () => readFileSync(`/boot/config-${release()}`, "utf8"),
  ];
  for (const read of ways) {
    try {
      return read();
    } catch {
      // This kernel or distribution keeps it elsewhere or not at all.
    }
  }
  return undefined;
}
