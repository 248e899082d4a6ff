import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import {
  type CniProfile,
  exec,
  execOk,
  type Lab,
  labDown,
  labDrift,
  labDump,
  labReset,
  labStatus,
  labUp,
  podCall,
  podHold,
  podSend,
  podSendRaw,
  podTalk,
  requirements,
  setBackends,
  startCapture,
} from "./index";
import { processesIn } from "./processes";
import { run } from "./run";

jest.setTimeout(60_000);

const missing = requirements();
const name = (suffix: string): string => `t${process.pid}${suffix}`;
const outside = "203.0.113.10";
const protos = ["tcp", "udp", "http", "icmp"] as const;

/** ssh as a person would call it, on the operator host. */
function ssh(lab: Lab, node: string, command: string): Promise<string> {
  const found = lab.nodes.find((candidate) => candidate.name === node);
  if (found === undefined) throw new Error(`no node ${node}`);
  const { host, port, user, keyPath, knownHostsPath } = found.ssh;
  const options = [
    "-o",
    `UserKnownHostsFile=${knownHostsPath}`,
    "-o",
    "StrictHostKeyChecking=yes",
    "-o",
    "BatchMode=yes",
    "-o",
    "KexAlgorithms=curve25519-sha256",
  ];
  return execOk(lab, "operator", [
    "ssh",
    "-F",
    "none",
    "-i",
    keyPath,
    "-p",
    `${port}`,
    ...options,
    `${user}@${host}`,
    command,
  ]);
}

const CLI = path.join(__dirname, "../../dist/test/lab/cli.js");
const cli = (...words: string[]) => run([process.execPath, CLI, ...words]);

/** Packets in a pcap file that a filter takes. */
async function packets(file: string, filter: string): Promise<number> {
  const { stdout } = await run(["tcpdump", "-n", "-r", file, filter]);
  return stdout.split("\n").filter((line) => line !== "").length;
}

function nodeOf(lab: Lab, pod: string): Lab["nodes"][number] {
  const node = lab.nodes.find((candidate) => candidate.name === lab.pods.find((one) => one.name === pod)?.node);
  if (node === undefined) throw new Error(`no node of ${pod}`);
  return node;
}

if (missing.length > 0) {
  test.skip(`the lab [skipped: ${missing.join(" ")}]`, () => undefined);
} else {
  describe.each<CniProfile>(["routes", "overlay", "bridge"])("a lab with cni %s", (cni) => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await labUp({ name: name(cni), cni });
    });
    afterAll(async () => {
      await labDown(name(cni));
    });

    test.each(protos)("every pod is seen outside with the address of its node: %s", async (proto) => {
      for (const pod of lab.pods) {
        const seen = await podCall(lab, pod.name, outside, { proto });
        expect({ pod: pod.name, source: seen.source }).toEqual({
          pod: pod.name,
          source: nodeOf(lab, pod.name).underlayIP,
        });
      }
    });

    test("pods of all nodes reach each other with their own addresses", async () => {
      for (const from of lab.pods) {
        for (const to of lab.pods.filter((pod) => pod !== from)) {
          for (const proto of protos) {
            const seen = await podCall(lab, from.name, to.address, { proto });
            expect({ from: from.name, to: to.name, proto, source: seen.source }).toEqual({
              from: from.name,
              to: to.name,
              proto,
              source: from.address,
            });
          }
        }
      }
    });

    test("ClusterIP and LoadBalancer IP lead to pods, from pods, nodes and outside", async () => {
      const { clusterIP } = lab.services.web;
      const { loadBalancerIP } = lab.services.shop;
      for (const backend of ["pod-client-1-1", "pod-client-2-2", "pod-gateway-1-1"]) {
        await setBackends(lab, { web: [backend], shop: [backend], dns: [backend] });
        for (const pod of ["pod-client-1-1", "pod-client-1-2", "pod-gateway-1-1", "pod-gateway-2-1"]) {
          expect((await podCall(lab, pod, clusterIP, { proto: "http" })).error).toBeUndefined();
          expect((await podCall(lab, pod, loadBalancerIP, { proto: "http" })).error).toBeUndefined();
          expect((await podCall(lab, pod, lab.services.dns.clusterIP, { proto: "udp" })).error).toBeUndefined();
        }
        // By one port each time, and never by a flow to a former backend: a pod that comes to itself is not seen with its own address.
        const own = lab.pods.find((pod) => pod.name === "pod-client-1-1")?.address;
        const byPort = { proto: "udp", sourcePort: 5353 } as const;
        const { source } = await podCall(lab, "pod-client-1-1", lab.services.dns.clusterIP, byPort);
        expect([backend, source === own]).toEqual([backend, backend !== "pod-client-1-1"]);
        expect((await podCall(lab, "outside-1", loadBalancerIP, { proto: "http" })).error).toBeUndefined();
        for (const node of lab.nodes) await execOk(lab, node.name, ["curl", "-s", "-m", "2", `http://${clusterIP}/`]);
      }
    });

    test("a dirty node is reset to the very same dump", async () => {
      await labReset(lab);
      const before = await labDump(lab, "gateway-1");
      await execOk(lab, "gateway-1", ["sh", "-e"], { input: dirt });
      expect(await labDump(lab, "gateway-1")).not.toBe(before);
      expect(await labDrift(lab, "gateway-1")).toContain(
        "+ mangle -A PREROUTING -m set --match-set egw-a src -j EGW-X",
      );
      await labReset(lab);
      expect(await labDump(lab, "gateway-1")).toBe(before);
      expect((await podCall(lab, "pod-gateway-1-1", outside)).source).toBe("192.168.0.101");
    });

    test("a pod goes on with no connection behind a reset, though nobody holds it any more", async () => {
      const { namespace } = lab.pods.find(({ name }) => name === "pod-gateway-1-1") ?? {};
      const open = () => spawnSync("ss", ["-N", String(namespace), "-Htan", "state", "connected"]).stdout.toString();
      await podCall(lab, "pod-gateway-1-1", outside);
      expect(open()).not.toBe("");
      await labReset(lab);
      expect(open()).toBe("");
    });

    test("every node lets the operator in by its key alone, and has files and mounts of its own", async () => {
      for (const node of lab.nodes) {
        expect(await ssh(lab, node.name, "hostname")).toMatch(new RegExp(`(^|\n)${node.name}\n$`));
        await ssh(
          lab,
          node.name,
          `mkdir -p /var/lib/pulumi-egress && echo ${node.name} >/var/lib/pulumi-egress/x && mkdir /sys/fs/bpf/egw && echo >/run/y`,
        );
      }
      for (const node of lab.nodes) {
        const own = await ssh(
          lab,
          node.name,
          "cat /var/lib/pulumi-egress/x; ls -d /sys/fs/bpf/* /run/y; cat /proc/sys/net/ipv4/conf/*/rp_filter | sort -u",
        );
        expect(own.split("\n").slice(own.split("\n").indexOf(node.name) + 1)).toEqual([
          "/run/y",
          "/sys/fs/bpf/egw",
          "/sys/fs/bpf/maps.debug",
          "/sys/fs/bpf/progs.debug",
          "1",
          "",
        ]);
      }
      expect(fs.existsSync("/var/lib/pulumi-egress/x")).toBe(false);
      await labReset(lab);
      expect(await ssh(lab, "gateway-1", "ls /var/lib")).not.toContain("pulumi-egress");
    });
  });

  describe("a lab", () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await labUp({ name: name("a") });
    });
    afterAll(async () => {
      await labDown(name("a"));
    });

    test("holds, talks and sends in the background", async () => {
      const held = await podHold(lab, "pod-client-1-1", outside);
      const talk = await podTalk(lab, "pod-client-1-2", outside, { intervalMs: 10 });
      const send = await podSend(lab, "pod-client-2-1", outside, { intervalMs: 10 });
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(await held.say()).toBeUndefined();
      await execOk(lab, "router", ["ip", "route", "add", "unreachable", "203.0.113.10/32"]);
      expect(await podCall(lab, "pod-client-1-1", outside)).toEqual({ error: "unreachable" });
      await execOk(lab, "router", ["ip", "route", "del", "unreachable", "203.0.113.10/32"]);
      expect(await podCall(lab, "pod-client-1-1", { address: outside, port: 9 })).toEqual({ error: "refused" });
      expect(await podCall(lab, "pod-client-1-1", "203.0.113.99", { timeoutMs: 200 })).toEqual({ error: "timeout" });
      const [talked, sent] = await Promise.all([talk.stop(), send.stop()]);
      expect(new Set(talked.map((result) => result.source))).toEqual(new Set(["192.168.0.11"]));
      expect(talked.length).toBeGreaterThan(15);
      expect(sent.filter((result) => result.source === "192.168.0.12").length).toBeGreaterThan(15);
      await held.close();
    });

    test("carries 10 MB both ways", async () => {
      const up = await podCall(lab, "pod-client-1-1", outside, {
        proto: "http",
        upload: 10_000_000,
        timeoutMs: 10_000,
      });
      expect(up).toMatchObject({ received: 10_000_000, source: "192.168.0.11" });
      const down = await podCall(lab, "pod-client-1-1", outside, {
        proto: "http",
        path: "/bytes/10000000",
        timeoutMs: 10_000,
      });
      expect(down.bytes).toBe(10_000_000);
    });

    test("captures everything between start and stop, and shows a pod address that leaks", async () => {
      const capture = await startCapture(lab, ["router", "client-1", "outside-1"]);
      await podCall(lab, "pod-client-1-1", outside, { proto: "udp" });
      // An ICMP error about nothing: conntrack calls it INVALID, so no NAT touches it.
      await podSendRaw(lab, "pod-client-1-1", [
        "4500001c0001000040010000" + "0a00010b" + "cb00710a" + "0000fffe00000001",
      ]);
      await podCall(lab, "pod-client-1-1", outside, { proto: "udp" });
      await capture.stop();
      for (const file of Object.values(capture.files)) {
        expect(await packets(file, "udp dst port 7002 and src 192.168.0.11")).toBe(2);
        expect(await packets(file, "src net 10.0.0.0/16")).toBe(1);
      }
    });

    test("its command line tells what is there, and a name that is none", async () => {
      expect(await cli("status", "--json", "--name", lab.name)).toMatchObject({ code: 0, stderr: "" });
      expect(JSON.parse((await cli("status", "--json", "--name", lab.name)).stdout)).toEqual(lab);
      const { code, stdout } = await cli("status", "--name", lab.name);
      const [head, ...rows] = stdout.trimEnd().split("\n");
      expect({ code, head }).toEqual({
        code: 0,
        head: `lab "${lab.name}" (up): 2 client and 2 gateway nodes, cni routes, masq masquerade, mtu 1500`,
      });
      expect(rows.map((row) => row.trim().split(/ +/))).toEqual([
        ...lab.hosts.map((host) => [host.name, host.namespace, ...host.addresses]),
        ...lab.pods.map((pod) => [pod.name, pod.namespace, pod.address]),
      ]);
      const none = `lab: there is no lab "nowhere"; make it with: lab up --name nowhere\n`;
      expect(await cli("status", "--name", "nowhere")).toEqual({ code: 1, stdout: "", stderr: none });
    });

    test("its command line runs a command on a node, in a pod or outside, and passes its exit code on", async () => {
      const on = (host: string, ...words: string[]) => cli("exec", "--name", lab.name, host, "--", ...words);
      expect(await on("gateway-1", "hostname")).toEqual({ code: 0, stdout: "gateway-1\n", stderr: "" });
      for (const [host, address] of [
        ["client-1", "192.168.0.11"],
        ["pod-client-1-1", "10.0.1.11"],
        ["outside-1", outside],
      ] as const) {
        expect((await on(host, "ip", "-4", "-o", "addr", "show", "dev", "eth0")).stdout).toContain(` ${address}/`);
      }
      expect(await on("client-1", "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
        code: 7,
        stdout: "out\n",
        stderr: "err\n",
      });
      expect(await on("nobody", "true")).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('no host "nobody"'),
      });
      expect(await on("client-1")).toMatchObject({ code: 2, stderr: expect.stringContaining("exec needs a host") });
    });

    test.each(["SIGINT", "SIGTERM"] as const)("its command line captures until %s", async (signal) => {
      const folder = fs.mkdtempSync(`${os.tmpdir()}/egw-capture-`);
      // As npm does it: started in another folder than the one where the name was typed.
      const env = { ...process.env, INIT_CWD: folder };
      const words = ["capture", "--name", lab.name, "--out", "packets", "router", "outside-1"];
      const child = spawn(process.execPath, [CLI, ...words], { env, stdio: ["ignore", "pipe", "pipe"] });
      const printed: Buffer[] = [];
      child.stdout.on("data", (data: Buffer) => printed.push(data));
      expect(String((await once(child.stderr, "data"))[0])).toBe("capturing; end with Ctrl-C\n");
      await podCall(lab, "pod-client-1-1", outside, { proto: "udp" });
      child.kill(signal);
      expect(await once(child, "close")).toEqual([0, null]);
      const files = ["router", "outside-1"].map((host) => `${folder}/packets/${host}.pcap`);
      expect(Buffer.concat(printed).toString()).toBe(files.map((file) => `${file}\n`).join(""));
      for (const file of files) expect(await packets(file, "udp dst port 7002 and src 192.168.0.11")).toBe(1);
      fs.rmSync(folder, { recursive: true });
    });

    test("is made once, refused with other options, and found by its name", async () => {
      expect(await labUp({ name: name("a") })).toEqual(lab);
      await expect(labUp({ name: name("a"), cni: "bridge" })).rejects.toThrow("exists with other options");
      expect(labStatus(name("a"))).toEqual(lab);
      expect(() => labStatus(name("z"))).toThrow("there is no lab");
      await expect(labUp({ name: "../x", clients: 0, mtu: 1 })).rejects.toThrow(/name: .*\nclients: .*\nmtu: /);
    });

    test("stands beside another, and goes without a trace or harm", async () => {
      const mounts = (): string =>
        fs
          .readFileSync("/proc/self/mounts", "utf8")
          .split("\n")
          // Tests of programs that run beside this one mount and unmount BPF file systems of their own.
          .filter((line) => !line.includes(" /run/netns") && !/^bpf \/tmp\/egw-(bpf|path|mutant)-/.test(line))
          .join("\n");
      const before = mounts();
      const other = await labUp({ name: name("b"), masq: "none", clients: 1, gateways: 1 });
      expect((await podCall(other, "pod-client-1-1", outside)).source).toBe("10.0.1.11");
      expect((await podCall(lab, "pod-client-1-1", outside)).source).toBe("192.168.0.11");
      const files = fs.readdirSync("/run/netns").filter((file) => file.startsWith(`egw-${other.name}-`));
      expect(files).toHaveLength(other.hosts.length + other.pods.length);
      const inodes = new Set(files.map((file) => fs.statSync(`/run/netns/${file}`).ino));
      expect(processesIn(files.map((file) => `/run/netns/${file}`)).length).toBeGreaterThan(0);
      expect(await labDown(other.name)).toBe(true);
      expect(await labDown(other.name)).toBe(false);
      expect(fs.readdirSync("/run/netns").filter((file) => file.startsWith(`egw-${other.name}-`))).toEqual([]);
      expect(fs.existsSync(other.directory)).toBe(false);
      expect(processesWith(inodes)).toEqual([]);
      expect(mounts()).toBe(before);
      expect((await podCall(lab, "pod-client-1-1", outside)).source).toBe("192.168.0.11");
    });

    test("a node can't change the machine's tools, and can put its own before them", async () => {
      const tree = (): string[] => ["/usr", "/usr/bin", "/usr/local/bin"].flatMap((folder) => fs.readdirSync(folder));
      const before = tree();
      const script = [
        // A change that changes nothing, lest a lab without this protection harm the machine.
        "for folder in /usr /usr/bin /usr/lib /bin /sbin; do chmod --reference=$folder $folder 2>&1; done",
        "printf '#!/bin/sh\\necho own\\n' >/usr/local/bin/egw-x && chmod +x /usr/local/bin/egw-x && egw-x",
      ];
      const said = (await ssh(lab, "gateway-1", script.join("\n"))).trim().split("\n");
      expect(said).toEqual([...Array(5).fill(expect.stringContaining("Read-only file system")), "own"]);
      expect(await exec(lab, "gateway-2", ["test", "-e", "/usr/local/bin/egw-x"])).toMatchObject({ code: 1 });
      await labReset(lab);
      expect(await exec(lab, "gateway-1", ["test", "-e", "/usr/local/bin/egw-x"])).toMatchObject({ code: 1 });
      expect(tree()).toEqual(before);
    });

    test("the operator sees its key, and nothing of the nodes but what SSH shows", async () => {
      const { keyPath, knownHostsPath } = lab.nodes[0]?.ssh ?? { keyPath: "", knownHostsPath: "" };
      const namespace = `/run/netns/${lab.nodes[0]?.namespace}`;
      const seen = await execOk(lab, "operator", ["find", "/run/egw-lab", "-type", "f"]);
      expect(seen.trim().split("\n").sort()).toEqual(
        [keyPath, `${keyPath}.pub`, knownHostsPath, `${lab.directory}/lab.json`].sort(),
      );
      const entered = await exec(lab, "operator", ["nsenter", `--net=${namespace}`, "true"]);
      expect(entered.code).not.toBe(0);
      expect(fs.existsSync(lab.directory) && fs.existsSync(namespace)).toBe(true);
      expect(await ssh(lab, "gateway-1", "hostname")).toBe("gateway-1\n");
    });

    test("every node has host keys of its own", () => {
      const known = fs
        .readFileSync(lab.nodes[0]?.ssh.knownHostsPath ?? "", "utf8")
        .trim()
        .split("\n");
      const keys = lab.nodes.map(({ underlayIP }) =>
        known.filter((line) => line.startsWith(`${underlayIP} `)).map((line) => line.split(" ").slice(1).join(" ")),
      );
      expect(keys.filter((some) => some.length === 0)).toEqual([]);
      expect(new Set(keys.flat()).size).toBe(keys.flat().length);
    });

    test("only gateway-1 drops in FORWARD what nobody accepts", async () => {
      for (const node of lab.nodes) {
        const policy = (await exec(lab, node.name, ["iptables", "-S", "FORWARD"])).stdout.split("\n")[0];
        expect(policy).toBe(`-P FORWARD ${node.name === "gateway-1" ? "DROP" : "ACCEPT"}`);
      }
    });
  });

  test("a lab that fails to come up leaves nothing", async () => {
    const path = process.env.PATH;
    const folder = fs.mkdtempSync("/run/egw-broken-"); // a node sees the machine's /run until it has booted
    fs.writeFileSync(`${folder}/iptables-restore`, "#!/bin/sh\necho broken >&2; exit 3\n", { mode: 0o755 });
    process.env.PATH = `${folder}:${path}`;
    try {
      await expect(labUp({ name: name("c") })).rejects.toThrow(/client-1: .*broken/);
    } finally {
      process.env.PATH = path;
      fs.rmSync(folder, { recursive: true });
    }
    expect(fs.existsSync(`/run/egw-lab/${name("c")}`)).toBe(false);
    expect(fs.readdirSync("/run/netns").filter((file) => file.startsWith(`egw-${name("c")}-`))).toEqual([]);
  });
}

function processesWith(inodes: ReadonlySet<number>): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && inodes.has(fs.statSync(`/proc/${pid}/ns/net`).ino);
    } catch {
      return false;
    }
  });
}

/** One of each kind of thing that a datapath leaves on a node. */
const dirt = `
ip link add egw.vxlan address 66:26:00:00:00:0b mtu 1450 type vxlan external dstport 4790
ip addr add 100.126.0.1/32 dev egw.vxlan
ip link set egw.vxlan up
echo 2 >/proc/sys/net/ipv4/conf/egw.vxlan/rp_filter
ip neigh replace 100.126.0.2 lladdr 66:26:00:00:00:15 dev egw.vxlan nud permanent
ip route replace default via 100.126.0.2 dev egw.vxlan onlink table 3021 proto 38 encap ip id 4097 dst 192.168.0.102
ip route replace unreachable default metric 4096 table 3021 proto 38
ip rule add pref 5000 fwmark 0x26001500/0xffffff00 table 3021 protocol 38
ip addr add 192.168.0.200/32 dev eth0
ipset create egw-a hash:net
ipset add egw-a 10.0.0.0/8
iptables -t raw -A PREROUTING -p udp --dport 4790 -j CT --notrack
iptables -t mangle -N EGW-X
iptables -t mangle -I PREROUTING 1 -m set --match-set egw-a src -j EGW-X
iptables -D FORWARD 1
iptables -P FORWARD ACCEPT
ip route replace 172.16.0.0/12 via 192.168.0.1
mkdir -p /var/lib/pulumi-egress/y "/etc/it's"
echo 1 >/var/lib/pulumi-egress/y/x
echo 1 >/run/foo
mkdir /sys/fs/bpf/egw
echo 0 >/proc/sys/net/ipv4/conf/eth0/rp_filter
tc qdisc add dev eth0 clsact
ip link set pod1 mtu 1400
`;
