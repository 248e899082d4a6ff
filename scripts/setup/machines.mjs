import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { probe, runLong } from "./command.mjs";
import { apt, packageStep } from "./debian.mjs";
import { cache } from "./places.mjs";

/** Debian releases that are tried in an emulated machine: each has a kernel and tools of its own. */
const releases = ["bullseye", "bookworm"];

/** What such a machine has, with all that these depend on. */
const packages = [
  "linux-image-cloud-amd64",
  "bpftool",
  "conntrack",
  "coreutils",
  "dash",
  "ethtool",
  "findutils",
  "grep",
  "gzip",
  "iproute2",
  "ipset",
  "iptables",
  "iputils-arping",
  "iputils-ping",
  "kmod",
  "mawk",
  "mount",
  "procps",
  "python3",
  "sed",
  "tcpdump",
  "util-linux",
];
/** Dependencies that only scripts of packages would use, which do not run here. */
const unused = /^(adduser|debconf|dpkg|initramfs-tools.*|klibc-utils|libperl.*|linux-base|perl.*|udev|usrmerge)_/;
/** Of the kernel's modules, those of networks and of the devices that qemu has. */
const modules =
  /^kernel\/(net|lib|crypto|arch\/x86\/crypto|drivers\/(virtio|net\/(veth|dummy|vrf|tun|vxlan|net_failover)))\b/;
const console_ = "kernel/drivers/char/virtio_console.ko";

const recipe = createHash("sha256")
  .update(readFileSync(fileURLToPath(import.meta.url)))
  .digest("hex")
  .slice(0, 8);
/** A folder for each release, with `kernel`, `initrd` and `version`; or a file RELEASE.refused that says why there is none. */
export const machinesFolder = join(cache, `machines-${recipe}`);
const refusal = (release) => join(machinesFolder, `${release}.refused`);

const DAY = 24 * 3600_000;
const isRefused = (release) => existsSync(refusal(release)) && Date.now() - statSync(refusal(release)).mtimeMs < DAY;
const absent = () => releases.filter((one) => !existsSync(join(machinesFolder, one)) && !isRefused(one));

export const machinePackages = packageStep("Debian packages for emulated machines", [
  "qemu-system-x86",
  "cpio",
  "kmod",
]);

/** Kernels and tools of older releases, unpacked and put into one file each. What apt does not have is noted, and tried again a day later. */
export const machineImages = {
  name: "Emulated machines",
  missing: () => absent().map((release) => `machine of Debian ${release}`),
  async bring(progress) {
    for (const name of existsSync(cache) ? readdirSync(cache) : [])
      if (name.startsWith("machines-") && join(cache, name) !== machinesFolder)
        rmSync(join(cache, name), { recursive: true });
    mkdirSync(machinesFolder, { recursive: true });
    progress("apt-get update");
    await apt(["update"], progress);
    for (const release of absent()) await make(release, progress);
  },
};

async function make(release, progress) {
  const work = join(machinesFolder, `${release}.${process.pid}`);
  rmSync(work, { recursive: true, force: true });
  for (const folder of ["state/lists/partial", "archives/partial", "root/usr", "image"])
    mkdirSync(join(work, folder), { recursive: true });
  try {
    await download(release, work, progress);
  } catch (error) {
    writeFileSync(refusal(release), `apt has no Debian ${release} here: ${error.message.split("\n").at(-1)}\n`);
    rmSync(work, { recursive: true });
    return;
  }
  await unpack(work, progress);
  await pack(work, progress);
  renameSync(join(work, "image"), join(machinesFolder, release));
  rmSync(refusal(release), { force: true });
  rmSync(work, { recursive: true });
}

/** Downloads the packages of a release, from where this machine's apt has those of its own, and as if nothing were installed. */
async function download(release, work, progress) {
  const { out } = probe("apt-get", ["indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(LABEL) $(REPO_URI)"]);
  const [, place] = /^Debian main Debian (\S+)$/m.exec(out) ?? [];
  if (!place) throw new Error("no archive of Debian among the sources of apt");
  const key = "/usr/share/keyrings/debian-archive-keyring.gpg";
  writeFileSync(join(work, "sources"), `deb${existsSync(key) ? ` [signed-by=${key}]` : ""} ${place} ${release} main\n`);
  writeFileSync(join(work, "status"), "");
  const settings = {
    "APT::Architecture": "amd64",
    "APT::Architectures": "amd64",
    "APT::Sandbox::User": "root",
    "Acquire::Languages": "none",
    "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    "Acquire::Retries": "2",
    "Dir::State": join(work, "state"),
    "Dir::State::status": join(work, "status"),
    "Dir::Cache::archives": join(work, "archives"),
    "Dir::Cache::pkgcache": "",
    "Dir::Cache::srcpkgcache": "",
    "Dir::Etc::sourcelist": join(work, "sources"),
    "Dir::Etc::sourceparts": "-",
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  progress(`packages of Debian ${release}`);
  await apt([...options, "--error-on=any", "update"], progress);
  await apt([...options, "install", "-y", "--download-only", "--no-install-recommends", ...packages], progress);
}

async function unpack(work, progress) {
  const [root, archives] = [join(work, "root"), join(work, "archives")];
  const shell = (script, ...words) => runLong("sh", ["-euc", script, "sh", ...words], { cwd: root });
  await shell("for d in bin sbin lib lib64; do mkdir usr/$d; ln -s usr/$d $d; done");
  for (const file of readdirSync(archives).filter((name) => name.endsWith(".deb") && !unused.test(name))) {
    progress(`unpacks ${file}`);
    await shell('dpkg-deb --fsys-tarfile "$1" | tar -x --keep-directory-symlink', join(archives, file));
  }
  // What packages' own scripts would do.
  await shell(`mkdir -p proc sys dev run tmp root var/lib etc mnt
ln -sf mawk usr/bin/awk
for t in iptables iptables-save iptables-restore; do ln -sf xtables-nft-multi usr/sbin/$t; done
echo root:x:0:0:root:/root:/bin/sh > etc/passwd; echo root:x:0: > etc/group`);
}

async function pack(work, progress) {
  const [root, image] = [join(work, "root"), join(work, "image")];
  const all = join(root, "usr/lib/modules");
  const [version] = readdirSync(all);
  const tree = join(all, version);
  progress(`packs Linux ${version}`);
  renameSync(join(root, "boot", `vmlinuz-${version}`), join(image, "kernel"));
  for (const entry of readdirSync(join(tree, "kernel"), { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = path.slice(tree.length + 1);
    if (entry.isFile() && !modules.test(name) && name !== console_) rmSync(path);
  }
  for (const folder of ["usr/share", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl", "boot"])
    rmSync(join(root, folder), { recursive: true, force: true });
  await runLong("depmod", ["-b", root, version]);
  const pipe = 'find . -print0 | cpio --null --create --format=newc --quiet --owner=0:0 > "$1"';
  await runLong("sh", ["-euc", pipe, "sh", join(image, "initrd")], { cwd: root });
  writeFileSync(join(image, "version"), `${version}\n`);
}
