import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

/** Programs of the lab, its hosts and the tests on them, with their Debian packages: set-up brings all of these. */
const programs: Readonly<Record<string, string>> = {
  ip: "iproute2",
  bridge: "iproute2",
  iptables: "iptables",
  ipset: "ipset",
  conntrack: "conntrack",
  nsenter: "util-linux",
  unshare: "util-linux",
  mount: "mount",
  arping: "iputils-arping",
  curl: "curl",
  tcpdump: "tcpdump",
  sshd: "openssh-server",
  ssh: "openssh-client",
  "ssh-keygen": "openssh-client",
  python3: "python3",
};

/** What keeps a lab from being built here, one clear sentence each. */
export function requirements(): string[] {
  if (process.platform !== "linux") return ["The lab needs Linux: its hosts are network namespaces."];
  if (process.getuid?.() !== 0) return ["The lab needs root: its hosts are network namespaces."];
  const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const missing = Object.entries(programs).filter(
    ([program]) => !folders.some((folder) => fs.existsSync(path.join(folder, program))),
  );
  const packages = [...new Set(missing.map(([, name]) => name))];
  const sentences = [];
  if (packages.length > 0) {
    const names = missing.map(([program]) => program).join(", ");
    sentences.push(`The lab needs ${names}: apt-get install ${packages.join(" ")}`);
  }
  for (const kind of ["overlay", "bpf"]) {
    if (!isKnown(kind)) spawnSync("modprobe", ["-q", kind], { stdio: "ignore" });
    if (!isKnown(kind)) sentences.push(`The lab needs the file system ${kind} in this kernel.`);
  }
  return sentences;
}

/** A file system whose module nothing has loaded yet is not known. */
function isKnown(kind: string): boolean {
  const lines = fs.readFileSync("/proc/filesystems", "utf8").split("\n");
  return lines.some((line) => line.endsWith(`\t${kind}`));
}
