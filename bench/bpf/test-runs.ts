import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import type { Kernel } from "../../test/bpf/kernel";
import { atEnd } from "../cleanup";
import type { Case } from "./cases";
import type { Loaded } from "./loaded";

/** Nanoseconds of a run. `middle`: the mean of all but the shortest and the longest tenth. */
export interface TestRun {
  readonly middle: number;
  readonly p10: number;
  readonly p90: number;
}

const ANSWERS = { redirect: 7, unspec: 0xffffffff } as const;
const REPEATED = ["repeat", 1000];
/** Of `struct __sk_buff`. */
const CONTEXT_SIZE = 192;
const IFINDEX_AT = 40;

/** Runs cases by BPF_PROG_TEST_RUN with the program test-run.c. */
export class TestRunner {
  private readonly folder = mkdtempSync(path.join(os.tmpdir(), "egw-bench-"));

  constructor(
    private readonly kernel: Kernel,
    private readonly tool: string,
  ) {
    atEnd(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Nanoseconds of the timer itself: in single runs of a program that hardly does anything, and hardly in many at once. */
  timer(one: Case, loaded: Loaded, runs: number): number {
    return this.run(one, loaded, 1, runs).middle - this.run(one, loaded, 1, 100, REPEATED).middle;
  }

  /** Single runs. @throws Error where the program answers otherwise than the case says. */
  run(one: Case, loaded: Loaded, entries: number, runs: number, more: readonly (string | number)[] = []): TestRun {
    const file = (name: string): string => path.join(this.folder, name);
    const context = Buffer.alloc(CONTEXT_SIZE);
    context.writeUInt32LE(this.kernel.indexOf(one.device), IFINDEX_AT);
    writeFileSync(file("packet"), one.packet);
    writeFileSync(file("context"), context);
    const words = [
      loaded.programPin(one.program, one.as),
      file("packet"),
      file("context"),
      runs,
      ...(one.varied?.(entries) ?? []),
      ...more,
    ];
    const { answer, ...times } = JSON.parse(this.kernel.run(this.tool, ...words.map(String))) as TestRun & {
      readonly answer: number;
    };
    if (answer !== ANSWERS[one.answer]) throw new Error(`${one.name}: answered ${answer}, not ${one.answer}`);
    return times;
  }
}
