import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import * as net from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

/** Where set-up has put the machines (`npm run setup -- --only machines`). */
const IMAGES = process.env.EGW_MACHINES ?? "";
/** Seconds that a boot may take; a quiet machine needs a tenth of that. */
const BOOT = 180;
/** Seconds that one script may take. */
const SCRIPT = 300;

export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Why there is no machine of a Debian release here; undefined where there is one. */
export function absence(release: string): string | undefined {
  const image = path.join(IMAGES, release);
  if (fs.existsSync(path.join(image, "version"))) return undefined;
  const refused = `${image}.refused`;
  if (fs.existsSync(refused)) return fs.readFileSync(refused, "utf8").trim();
  return `no machine of Debian ${release}: npm run setup -- --only machines brings it`;
}

/**
 * Another kernel with the tools of its own release, emulated, all in memory and without a network towards outside. Its first
 * process is agent.py, which runs commands for us.
 */
export class Machine {
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private asked = 0;
  private socket: net.Socket | undefined;

  private constructor(
    private readonly emulator: ChildProcess,
    private readonly folder: string,
    /** What the kernel says, from the first line on; kept where the machine is not stopped. */
    readonly log: string,
  ) {}

  /**
   * Boots a release. `files`: what its root gets besides, by path.
   * @throws Error with the end of the kernel's log where it does not come up.
   */
  static async boot(release: string, files: Readonly<Record<string, string>> = {}): Promise<Machine> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), `egw-machine-${release}-`));
    const file = (name: string) => path.join(folder, name);
    const image = path.join(IMAGES, release);
    const own = { init: path.join(__dirname, "init.sh"), "agent.py": path.join(__dirname, "agent.py"), ...files };
    fs.mkdirSync(file("own"));
    for (const [name, from] of Object.entries(own)) fs.copyFileSync(from, path.join(file("own"), name));
    fs.chmodSync(path.join(file("own"), "init"), 0o755);
    // The kernel unpacks one archive after the other.
    const archives = 'find . -print0 | cpio --null --create --format=newc --quiet --owner=0:0 | cat "$1" - > "$2"';
    execFileSync("sh", ["-euc", archives, "sh", path.join(image, "initrd"), file("initrd")], { cwd: file("own") });
    const emulator = spawn("qemu-system-x86_64", [
      ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "2048"],
      ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
      ...["-kernel", path.join(image, "kernel"), "-initrd", file("initrd")],
      ...["-append", "console=ttyS0 panic=-1 oops=panic rdinit=/init"],
      ...["-serial", `file:${file("serial.log")}`],
      ...["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent"],
      ...["-chardev", `socket,id=agent,path=${file("agent")},server=on,wait=off`],
    ]);
    const machine = new Machine(emulator, folder, file("serial.log"));
    emulator.stderr?.on("data", (text) => fs.appendFileSync(machine.log, text));
    await machine.connect(file("agent"));
    fs.rmSync(file("initrd"));
    return machine;
  }

  /** Runs a command, with what it reads. */
  run(words: readonly string[], input = ""): Promise<Answer> {
    const id = ++this.asked;
    const answered = new Promise<Answer>((resolve) => this.waiting.set(id, resolve));
    this.socket?.write(`${JSON.stringify({ id, words, input })}\n`);
    return answered;
  }

  /**
   * Runs a shell script, in the namespaces of a process where one is named; gives what it prints.
   * @throws Error with all that it printed where it fails.
   */
  async must(script: string, process?: string): Promise<string> {
    const inside = process === undefined ? [] : ["nsenter", "--target", process, "--net", "--mount", "--"];
    const bounded = ["timeout", "-k", "5", String(SCRIPT), ...inside, "sh", "-s"];
    const { status, stdout, stderr } = await this.run(bounded, script);
    if (status !== 0)
      throw new Error(`${script.slice(0, 2000)}\nended with ${status}: ${stderr}${stdout}\n${this.logEnd()}`);
    return stdout;
  }

  /** Ends the machine. Its log is kept where something was wrong. */
  stop(isKept = false): void {
    this.emulator.kill("SIGKILL");
    this.socket?.destroy();
    if (!isKept) fs.rmSync(this.folder, { recursive: true });
  }

  /** What the kernel has said so far. */
  kernelLog(): string {
    return fs.readFileSync(this.log, "utf8");
  }

  private async connect(at: string): Promise<void> {
    const isUp = new Promise<Answer>((resolve) => this.waiting.set(0, resolve));
    const ended = new Promise<never>((_, reject) => {
      this.emulator.on("error", reject);
      this.emulator.on("exit", () => {
        reject(new Error(`the machine has ended: ${this.logEnd()}`));
        for (const answer of this.waiting.values())
          answer({ status: 255, stdout: "", stderr: `the machine has ended: ${this.logEnd()}` });
      });
    });
    while (!fs.existsSync(at)) await Promise.race([sleep(20), ended]);
    this.socket = net.connect(at);
    readline.createInterface({ input: this.socket }).on("line", (line) => {
      const { id, ...answer } = JSON.parse(line) as Answer & { readonly id: number };
      this.waiting.get(id)?.(answer);
      this.waiting.delete(id);
    });
    const late = sleep(BOOT * 1000, undefined, { ref: false }).then(() => {
      throw new Error(`the machine is not up after ${BOOT} s: ${this.logEnd()}`);
    });
    await Promise.race([isUp, late, ended]);
    ended.catch(() => {});
    late.catch(() => {});
  }

  private logEnd(): string {
    const text = fs.existsSync(this.log) ? fs.readFileSync(this.log, "utf8") : "";
    return `the kernel said (${this.log}):\n${text.split("\n").slice(-40).join("\n")}`;
  }
}
