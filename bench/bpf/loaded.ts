import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { LAYOUT_VERSION, OBJECTS, type ObjectName } from "../../provider/kernel/bpf-layout";
import { withConstants } from "../../provider/kernel/bpf-object";
import { BPF_APPLY_FUNCTIONS } from "../../provider/program/bpf";
import type { Step } from "../../provider/reconcile/step";
import { programsOf } from "../../provider/transport/programs";
import type { Kernel } from "../../test/bpf/kernel";
import { MAKE_MAPS, mapsOf } from "../../test/bpf/maps";

/** Maps and programs pinned in a folder of their own, filled by what a batch runs on a node. */
export class Loaded {
  private readonly folder = mkdtempSync(path.join(os.tmpdir(), "egw-bench-"));
  private readonly pins: string;

  constructor(
    private readonly kernel: Kernel,
    name: string,
  ) {
    this.pins = kernel.pinned(name);
    this.shell("mkdir -p $BPF", "");
  }

  /** Maps of all objects, and nothing in them. */
  makeMaps(): void {
    this.shell("egw_bpf_maps", `${MAKE_MAPS.join("\n")}\n`);
  }

  /** Seconds that the entries of a plan take. */
  fill(steps: readonly Step[]): number {
    const began = performance.now();
    const lines = steps.filter(({ tool }) => tool === "bpf-entry").flatMap(({ input }) => input);
    this.shell("egw_bpf_entries", `${lines.join("\n")}\n`);
    return (performance.now() - began) / 1000;
  }

  /** The package's own programs with these constants, on the maps that were made. `as`: the folder of their pins. */
  load(object: ObjectName, constants: Readonly<Record<string, Buffer>>, as: string = object): void {
    const file = path.join(this.folder, `${as}.o`);
    writeFileSync(file, withConstants(programsOf(object), constants));
    const maps = mapsOf(`${this.pins}/maps-${LAYOUT_VERSION}`, object);
    this.kernel.run("bpftool", "prog", "loadall", file, `${this.pins}/${as}`, "type", "classifier", ...maps);
  }

  /** `as`: where the object of the program was not loaded under its own name. */
  programPin(program: string, as?: string): string {
    const object = (Object.keys(OBJECTS) as ObjectName[]).find((one) => OBJECTS[one].programs.includes(program));
    return `${this.pins}/${as ?? object}/${program}`;
  }

  mapPin(name: string): string {
    return `${this.pins}/maps-${LAYOUT_VERSION}/${name}`;
  }

  remove(): void {
    rmSync(this.pins, { recursive: true, force: true });
    rmSync(this.folder, { recursive: true, force: true });
  }

  private shell(command: string, input: string): void {
    const script = `${BPF_APPLY_FUNCTIONS}\nBPF=${this.pins}; egw_limit=\n${command}`;
    execFileSync("sh", ["-c", script], { input, stdio: ["pipe", "ignore", "pipe"] });
  }
}
