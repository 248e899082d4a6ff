import * as path from "node:path";
import { nodeDirectory, sourceFile } from "./lab-directory";
import { type Lab, type LabHost, namespaceOf } from "./topology";

/**
 * The shell script that turns the files of boot-files.ts into a lab. Pure.
 * Few processes: one ip -batch a namespace, all nodes at once.
 */
export function bootScript(lab: Lab, namespaces: readonly string[]): string {
  const boot = path.join(lab.directory, "boot");
  const switchNamespace = namespaceOf(lab.name, "switch");
  return [
    "set -eu",
    `echo $$ >${bootPid(lab.directory)}`,
    `{ ${lab.nodes.map((node) => keygen(path.join(nodeDirectory(lab, node.name), "ssh", "ssh_host_ed25519_key"), node.name)).join("; ")}; } &`,
    "keys=$!",
    keygen(path.join(lab.directory, "operator", "id_ed25519"), "operator"),
    `ip -batch ${boot}/namespaces`,
    ...namespaces.map((namespace) => inNamespace(namespace, `sh ${boot}/${namespace}.sysctl`)),
    `ip -n ${switchNamespace} -batch ${boot}/links`,
    ...namespaces.map((namespace) => `ip -n ${namespace} -batch ${boot}/${namespace}.ip`),
    ...[...lab.pods, ...lab.outside].map(
      (host) => `setsid ${agent(lab, host)} </dev/null >${lab.directory}/log/${host.name}.stderr 2>&1 &`,
    ),
    "wait $keys",
    ...knownHosts(lab),
    ...lab.nodes.map((node, i) => `${nodeBoot(lab, node)} & node${i}=$!`),
    "failed=",
    ...lab.nodes.map((node, i) => `wait $node${i} || failed="$failed ${node.name}"`),
    "for node in $failed; do",
    `  echo "$node: $(cat ${lab.directory}/nodes/$node/boot.log)" >&2`,
    "done",
    '[ -z "$failed" ]',
    "",
  ].join("\n");
}

/** Settings that must stand before there are links, since a link takes its own from `default`. */
export function sysctlScript(lab: Lab, host: Pick<LabHost, "role"> | undefined): string {
  const ipv4 = "/proc/sys/net/ipv4";
  const set: Record<string, number> = {
    "/proc/sys/net/ipv6/conf/all/disable_ipv6": 1,
    "/proc/sys/net/ipv6/conf/default/disable_ipv6": 1,
  };
  switch (host?.role) {
    case "client":
    case "gateway":
      Object.assign(set, {
        [`${ipv4}/ip_forward`]: 1,
        [`${ipv4}/conf/all/rp_filter`]: 1,
        [`${ipv4}/conf/default/rp_filter`]: 1,
        "/proc/sys/net/bridge/bridge-nf-call-iptables": lab.options.cni === "bridge" ? 1 : 0,
      });
      break;
    case "router":
      Object.assign(set, { [`${ipv4}/ip_forward`]: 1 });
      break;
    case "switch":
      Object.assign(set, { "/proc/sys/net/bridge/bridge-nf-call-iptables": 0 });
      break;
  }
  return Object.entries(set)
    .map(([file, value]) =>
      file.includes("/bridge/") ? `[ ! -e ${file} ] || echo ${value} >${file}` : `echo ${value} >${file}`,
    )
    .join("\n");
}

function inNamespace(namespace: string, command: string): string {
  return `nsenter --net=/run/netns/${namespace} ${command}`;
}

function keygen(file: string, comment: string): string {
  return `ssh-keygen -q -t ed25519 -N '' -C ${comment} -f ${file}`;
}

function knownHosts(lab: Lab): string[] {
  const operator = path.join(lab.directory, "operator");
  return lab.nodes.flatMap((node) => {
    const ssh = path.join(nodeDirectory(lab, node.name), "ssh");
    return [
      `read -r type key rest <${ssh}/ssh_host_ed25519_key.pub`,
      `echo "${node.underlayIP} $type $key" >>${operator}/known_hosts`,
      `cp ${operator}/id_ed25519.pub ${ssh}/authorized_keys`,
    ];
  });
}

function nodeBoot(lab: Lab, node: Lab["nodes"][number]): string {
  const directory = nodeDirectory(lab, node.name);
  const command = `unshare --mount --uts sh ${sourceFile("node-boot.sh")} ${node.name} ${directory}`;
  return `${inNamespace(node.namespace, command)} >${directory}/boot.log 2>&1`;
}

function agent(lab: Lab, host: Lab["pods"][number] | Lab["outside"][number]): string {
  const ports = Object.entries(host.ports).map(([name, port]) => `--${name} ${port}`);
  const files = `--socket ${agentSocket(lab, host.name)} --log ${host.log}`;
  // -S -E -B: starts twice as fast, and leaves no bytecode beside the sources.
  return inNamespace(host.namespace, `/usr/bin/python3 -S -E -B ${sourceFile("agent.py")} ${files} ${ports.join(" ")}`);
}

/** Where the script notes its process, so that a half-built lab can be stopped from growing. */
export function bootPid(directory: string): string {
  return path.join(directory, "boot", "pid");
}

export function agentSocket(lab: Lab, host: string): string {
  return path.join(lab.directory, "agents", `${host}.sock`);
}
