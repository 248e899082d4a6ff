import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Refuses a machine that can't run the lab, before anything is touched: one sentence for each reason. */
export const machine = {
  name: "Machine",
  missing() {
    const problems = [];
    if (process.platform !== "linux") {
      return [`This needs Linux (network namespaces, ipset, iptables), and this machine runs ${process.platform}.`];
    }
    if (!["x64", "arm64"].includes(process.arch)) {
      problems.push(`This needs a machine of type x64 or arm64, and this one is ${process.arch}.`);
    }
    if (process.getuid() !== 0) {
      problems.push("This needs root, to make network namespaces and program the kernel; try again with sudo.");
    }
    if (!onPath("apt-get") || !onPath("dpkg-query")) {
      problems.push("This needs apt-get, as on Debian 12 or Ubuntu, and this machine has none.");
    }
    return problems;
  },
};

/** The first executable of that name on PATH, or undefined. */
export function onPath(name, path = process.env.PATH ?? "") {
  return path
    .split(delimiter)
    .filter(Boolean)
    .map((directory) => join(directory, name))
    .find((file) => existsSync(file));
}
