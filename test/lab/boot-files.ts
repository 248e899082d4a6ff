import * as fs from "node:fs";
import * as path from "node:path";
import { bootScript, sysctlScript } from "./boot-script";
import { overlayForwarding } from "./cni";
import { nodeDirectory } from "./lab-directory";
import { nodeRules } from "./node-rules";
import type { Lab, LabNode } from "./topology";
import { wiringOf } from "./wiring";

/** Writes everything that booting needs into the lab's directory; gives the script to run. */
export function writeBootFiles(lab: Lab): string {
  for (const folder of ["boot", "log", "agents", "operator"]) {
    fs.mkdirSync(path.join(lab.directory, folder), { recursive: true });
  }
  const write = (name: string, lines: readonly string[]): void => {
    fs.writeFileSync(path.join(lab.directory, "boot", name), lines.map((line) => `${line}\n`).join(""));
  };
  const wiring = wiringOf(lab);
  const namespaces = [...wiring.namespaces.keys()];
  write(
    "namespaces",
    namespaces.map((namespace) => `netns add ${namespace}`),
  );
  write("links", wiring.links);
  for (const [namespace, lines] of wiring.namespaces) {
    const host = lab.hosts.find((candidate) => candidate.namespace === namespace);
    write(`${namespace}.ip`, lines);
    write(`${namespace}.sysctl`, [sysctlScript(lab, host)]);
  }
  for (const node of lab.nodes) writeNodeFiles(lab, node);
  write("boot.sh", [bootScript(lab, namespaces)]);
  return path.join(lab.directory, "boot", "boot.sh");
}

function writeNodeFiles(lab: Lab, node: LabNode): void {
  const directory = nodeDirectory(lab, node.name);
  fs.mkdirSync(path.join(directory, "ssh"), { recursive: true });
  fs.writeFileSync(path.join(directory, "rules"), nodeRules(lab, node));
  fs.writeFileSync(
    path.join(directory, "fdb"),
    overlayForwarding(lab, node)
      .map((line) => `${line}\n`)
      .join(""),
  );
  fs.writeFileSync(path.join(directory, "ssh", "sshd_config"), sshdConfig(node));
}

function sshdConfig(node: LabNode): string {
  return [
    `ListenAddress ${node.underlayIP}`,
    "HostKey /etc/ssh/ssh_host_ed25519_key",
    "AuthorizedKeysFile /etc/ssh/authorized_keys",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "UsePAM no",
    "UseDNS no",
    "PrintMotd no",
    "PrintLastLog no",
    "PidFile /run/sshd.pid",
    "Subsystem sftp internal-sftp",
    "",
  ].join("\n");
}
