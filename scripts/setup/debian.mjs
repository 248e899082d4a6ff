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

/** Those of these Debian packages that are not installed. */
function absentOf(wanted) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const { out } = probe("dpkg-query", ["-W", "-f", "${Package} ${db:Status-Status}\n", ...wanted]);
  const installed = new Set(out.split("\n").map((line) => line.replace(/ installed$/, "")));
  return wanted.filter((name) => !installed.has(name));
}

/** Runs apt-get with these words; each line that it prints goes to `onLine`. */
export const apt = (args, onLine) =>
  runLong("apt-get", args, {
    onLine,
    // Ubuntu's needrestart would ask, and a lock held by another apt run is waited for.
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "a", LC_ALL: "C" },
  });

/** A step that installs Debian packages. */
export const packageStep = (name, wanted) => ({
  name,
  missing: () => absentOf(wanted).map((one) => `Debian package ${one}`),
  async bring(progress) {
    const names = absentOf(wanted);
    const wait = ["-o", "DPkg::Lock::Timeout=300"];
    progress("apt-get update");
    await apt(["update", ...wait], progress);
    progress(`apt-get install ${names.join(" ")}`);
    await withoutServices(() => apt(["install", "-y", "--no-install-recommends", ...wait, ...names], progress));
    // The lab starts its own sshd in its own namespaces; this machine must not get one by our doing.
    if (names.includes("openssh-server")) probe("systemctl", ["disable", "ssh.service", "ssh.socket"]);
  },
});

/** The tools that the lab and the nodes in it are made of. */
export const debianPackages = packageStep("Debian packages", packages);
