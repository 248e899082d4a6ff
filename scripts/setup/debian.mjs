import { probe, runLong } from "./command.mjs";
import { withoutServices } from "./without-services.mjs";

const packages = [
  "openssh-server",
  "openssh-client",
  "iptables",
  "ipset",
  "conntrack",
  "iproute2",
  "iputils-arping",
  "iputils-ping",
  "curl",
  "tcpdump",
  "iperf3",
  "procps",
  "util-linux",
  "mount",
  "python3",
  "ethtool",
  "clang",
  "llvm",
  "libbpf-dev",
  "bpftool",
];

function absent() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const { out } = probe("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...packages]);
  const installed = new Set(out.split("\n").map((line) => line.replace(/ installed$/, "")));
  return packages.filter((name) => !installed.has(name));
}

const apt = (args, onLine) =>
  runLong("apt-get", args, {
    onLine,
    // Ubuntu's needrestart would ask, and a lock held by another apt run is waited for.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "a", LC_ALL: "C" },
  });

/** The tools that the lab and the nodes in it are made of. */
export const debianPackages = {
  name: "Debian packages",
  missing: () => absent().map((name) => `Debian package ${name}`),
  async bring(progress) {
    const names = absent();
    const wait = ["-o", "DPkg::Lock::Timeout=300"];
    progress("apt-get update");
    await apt(["update", ...wait], progress);
    progress(`apt-get install ${names.join(" ")}`);
    await withoutServices(() => apt(["install", "-y", "--no-install-recommends", ...wait, ...names], progress));
    // The lab starts its own sshd in its own namespaces; this machine must not get one by our doing.
    if (names.includes("openssh-server")) probe("systemctl", ["disable", "ssh.service", "ssh.socket"]);
  },
};
