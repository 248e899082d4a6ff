import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { decode, encode, HOOKS, MAPS, VERDICTS } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import { CLASSIFIER } from "./maps";

/** Elsewhere for programs that are broken on purpose. */
export const SOURCES = process.env.EGW_BPF_SOURCES ?? path.join(__dirname, "../../bpf");
const ACTIONS: Readonly<Record<number, string>> = { 0: "ok", 2: "shot", 7: "redirect", 4294967295: "unspec" };

export interface Outcome {
  readonly action: string;
  /** What was counted, `hook verdict`. */
  readonly counted: readonly string[];
  readonly packet: Buffer;
  /** The packet's mark behind the program. */
  readonly mark: number;
}

/** What a map has in place of what the provider gives it. */
interface Shape {
  readonly type?: "hash";
  readonly entries?: number;
}

/** What a packet has besides its bytes. */
export interface Context {
  /** The device by which it comes, or goes. */
  readonly device?: string;
  readonly mark?: number;
  /** Bytes of each segment, of an aggregate. */
  readonly size?: number;
}

/** Where `struct __sk_buff` has these, and how long it is. */
const MARK_AT = 8;
const IFINDEX_AT = 40;
const GSO_SIZE_AT = 176;
const CONTEXT_SIZE = 192;
/** Maps whose content is not of one test: counters, which are compared with what they were, and traces, which go as they are read. */
const COUNTED = ["egw_verdicts", "egw_trace"];

const run = (...command: readonly [string, ...string[]]): string =>
  execFileSync(command[0], command.slice(1), { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

/** The bytes of clang's object of a source. */
export function compiled(source: string, folder: string, isStrict = process.env.EGW_BPF_SOURCES === undefined): Buffer {
  const object = path.join(folder, `${path.basename(source, ".c")}.o`);
  const include = `-I/usr/include/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
  const warnings = isStrict ? ["-Wall", "-Wextra", "-Werror"] : ["-w"];
  run("clang", "-O2", "-g", ...warnings, "-target", "bpf", "-mcpu=v3", include, "-c", source, "-o", object);
  return fs.readFileSync(object);
}

/** Programs in a network namespace and a BPF file system of their own. */
export class Kernel {
  private readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-bpf-"));
  private readonly pins = path.join(this.folder, "pins");
  private readonly namespace = `egw-bpf-${process.pid}`;
  private readonly objects = new Map<string, Buffer>();
  private readonly loaded = new Map<string, Programs>();

  private constructor() {}

  /** With a device `uplink` (10.9.0.1/24) that has a default route to 10.9.0.254, and a device `pod`. */
  static start(): Kernel {
    const kernel = new Kernel();
    fs.mkdirSync(kernel.pins);
    run("mount", "-t", "bpf", "bpf", kernel.pins);
    run("ip", "netns", "add", kernel.namespace);
    for (const command of [
      "link add uplink type veth peer name other",
      "link set uplink up",
      "link set other up",
      "link set lo up",
      "link add pod type veth peer name eth0",
      "link set pod up",
      "link set eth0 up",
      "addr add 10.9.0.1/24 dev uplink",
      "neigh add 10.9.0.254 lladdr 02:00:00:00:09:fe dev uplink",
      "route add default via 10.9.0.254",
    ])
      run("ip", "-n", kernel.namespace, ...command.split(" "));
    kernel.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.forwarding=1");
    return kernel;
  }

  stop(): void {
    run("ip", "netns", "del", this.namespace);
    run("umount", this.pins);
    fs.rmSync(this.folder, { recursive: true });
  }

  /** All programs of a source with these constants, loaded once, with empty maps. `shapes`: of maps that are others here. */
  load(
    source: string,
    constants: Readonly<Record<string, Buffer>> = {},
    shapes: Readonly<Record<string, Shape>> = {},
  ): Programs {
    const bytesOf = Object.entries(constants).map(([name, value]) => [name, value.toString("hex")]);
    const key = JSON.stringify([source, bytesOf, shapes]);
    const known = this.loaded.get(key);
    known?.empty();
    const programs = known ?? this.loadAnew(source, constants, shapes);
    this.loaded.set(key, programs);
    return programs;
  }

  private loadAnew(
    source: string,
    constants: Readonly<Record<string, Buffer>>,
    shapes: Readonly<Record<string, Shape>>,
  ): Programs {
    const file = path.join(this.folder, "patched.o");
    const object = this.objects.get(source) ?? compiled(path.resolve(SOURCES, source), this.folder);
    this.objects.set(source, object);
    fs.writeFileSync(file, withConstants(object, constants));
    const pins = fs.mkdtempSync(path.join(this.pins, "load-"));
    const small = Object.entries(shapes).flatMap(([name, changed]) => {
      const { type = "", key = 0, value = 0, entries = 0, flags = 0 } = { ...MAPS[name], ...changed };
      const shape = ["type", type, "key", key, "value", value, "entries", entries, "name", name, "flags", flags];
      this.run("bpftool", "map", "create", `${pins}/${name}`, ...shape.map(String));
      return ["map", "name", name, "pinned", `${pins}/${name}`];
    });
    const programs = [`${pins}/programs`, ...CLASSIFIER, ...small, "pinmaps", `${pins}/maps`];
    this.run("bpftool", "prog", "loadall", file, ...programs);
    return new Programs(pins, this.folder, this);
  }

  ip(line: string): void {
    run("ip", "-n", this.namespace, ...line.split(" "));
  }

  indexOf(device: string): number {
    return Number(run("ip", "-n", this.namespace, "-o", "link", "show", device).split(":")[0]);
  }

  /** A command in the namespace. */
  readonly run = (...command: readonly string[]): string => run("ip", "netns", "exec", this.namespace, ...command);

  /** A path for pins. */
  readonly pinned = (name: string): string => path.join(this.pins, name);
}

/** The kernel's clock (bpf_ktime_get_boot_ns) so many seconds ago; before it began it is a negative number for the programs. */
export const ago = (seconds: number): bigint => BigInt.asUintN(64, BigInt(Math.floor((os.uptime() - seconds) * 1e9)));

/** Bytes as the words that bpftool takes. */
export const hex = (bytes: Buffer): string[] => [...bytes].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`);
const bytes = (words: readonly string[]): Buffer => Buffer.from(words.map((word) => Number.parseInt(word, 16)));

export class Programs {
  /** As they were counted so far. */
  private counted = new Map<string, number>();

  constructor(
    readonly pins: string,
    private readonly folder: string,
    private readonly kernel: Kernel,
  ) {}

  /** Takes all entries away, and what programs left in arrays, but counters. */
  empty(): void {
    const names = fs.readdirSync(`${this.pins}/maps`).filter((name) => name in MAPS && !COUNTED.includes(name));
    const lines = names.flatMap((name) => {
      const { type = "", key = 0, value = 0 } = MAPS[name] ?? {};
      const pin = `pinned ${this.pins}/maps/${name}`;
      const zeros = (count: number) => Array(count).fill("0").join(" ");
      if (type === "percpu_array") return [`map update ${pin} key ${zeros(key)} value ${zeros(value)}`];
      return this.entries(name).map((entry) => `map delete ${pin} key ${hex(entry.key).join(" ")}`);
    });
    this.batch(lines);
  }

  set(map: string, key: Buffer, value: Buffer): void {
    const pin = `${this.pins}/maps/${map}`;
    this.kernel.run("bpftool", "map", "update", "pinned", pin, "key", ...hex(key), "value", ...hex(value));
  }

  /**
   * Fills a map by tuples with others of the same value as its first entry. By each CPU: each has entries of its own that a full map does
   * not give up for another one's.
   */
  crowd(map: string, count: number): void {
    const [first] = this.entries(map);
    if (!first) throw new Error(`${map} has no entry`);
    const tuple = decode("egw_tuple", first.key);
    const entries = Array.from({ length: count }, (_, i) => ({
      key: encode("egw_tuple", { ...tuple, source: `10.0.2.${i % 250}`, source_port: 1000 + i }),
      value: first.value,
    }));
    const pin = `${this.pins}/maps/${map}`;
    const lines = entries.map(
      ({ key, value }) => `map update pinned ${pin} key ${hex(key).join(" ")} value ${hex(value).join(" ")}`,
    );
    for (const cpu of os.cpus().keys()) this.batch(lines, "taskset", "-c", String(cpu));
  }

  private batch(lines: readonly string[], ...before: readonly string[]): void {
    if (lines.length === 0) return;
    const file = path.join(this.folder, "batch");
    fs.writeFileSync(file, `${lines.join("\n")}\n`);
    this.kernel.run(...before, "bpftool", "batch", "file", file);
  }

  remove(map: string, key: Buffer): void {
    this.kernel.run("bpftool", "map", "delete", "pinned", `${this.pins}/maps/${map}`, "key", ...hex(key));
  }

  entries(map: string): { readonly key: Buffer; readonly value: Buffer }[] {
    const said = this.kernel.run("bpftool", "-j", "map", "dump", "pinned", `${this.pins}/maps/${map}`);
    const found = JSON.parse(said) as { readonly key: string[]; readonly value: string[] }[];
    return found.map(({ key, value }) => ({ key: bytes(key), value: bytes(value) }));
  }

  /** BPF_PROG_TEST_RUN. */
  run(program: string, packet: Buffer, { device, mark = 0, size = 0 }: Context = {}): Outcome {
    const file = (name: string) => path.join(this.folder, name);
    const context = Buffer.alloc(CONTEXT_SIZE);
    context.writeUInt32LE(mark, MARK_AT);
    context.writeUInt32LE(size, GSO_SIZE_AT);
    if (device) context.writeUInt32LE(this.kernel.indexOf(device), IFINDEX_AT);
    fs.writeFileSync(file("in"), packet);
    fs.writeFileSync(file("context"), context);
    const said = this.kernel.run(
      ...["bpftool", "-j", "prog", "run", "pinned", `${this.pins}/programs/${program}`],
      ...["data_in", file("in"), "data_out", file("out"), "data_size_out", String(packet.length + 64)],
      ...["ctx_in", file("context"), "ctx_out", file("context-out"), "ctx_size_out", String(CONTEXT_SIZE)],
    );
    const { retval } = JSON.parse(said) as { readonly retval: number };
    const before = this.counted;
    this.counted = this.counters();
    const counted = [...this.counted].flatMap(([name, count]) =>
      Array<string>(count - (before.get(name) ?? 0)).fill(name),
    );
    return {
      action: ACTIONS[retval] ?? String(retval),
      counted,
      packet: fs.readFileSync(file("out")),
      mark: fs.readFileSync(file("context-out")).readUInt32LE(MARK_AT),
    };
  }

  private counters(): Map<string, number> {
    return countersIn(this.kernel.run("bpftool", "-j", "map", "dump", "pinned", `${this.pins}/maps/egw_verdicts`));
  }
}

/** What was counted, by `hook verdict`, in bpftool's dump of the map of counters. */
export function countersIn(dump: string): Map<string, number> {
  const found = JSON.parse(dump) as {
    readonly key: string[];
    readonly values: { readonly value: string[] }[];
  }[];
  const total = (values: readonly { readonly value: string[] }[]) =>
    values.reduce((sum, { value }) => sum + Number(bytes(value).readBigUInt64LE()), 0);
  return new Map(
    found.map(({ key: words, values }) => {
      const key = bytes(words).readUInt32LE();
      const name = `${HOOKS[Math.floor(key / VERDICTS.length)]} ${VERDICTS[key % VERDICTS.length]}`;
      return [name, total(values)];
    }),
  );
}
