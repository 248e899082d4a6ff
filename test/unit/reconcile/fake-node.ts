import { address } from "../../../provider/kernel/address";
import { bpfEntry } from "../../../provider/kernel/bpf-entry";
import { bpfMap } from "../../../provider/kernel/bpf-map";
import { bpfProgram } from "../../../provider/kernel/bpf-program";
import { ipRule } from "../../../provider/kernel/ip-rule";
import { ipset, setMember } from "../../../provider/kernel/ipset";
import { chain, chainRule, hook } from "../../../provider/kernel/iptables";
import { link } from "../../../provider/kernel/link";
import { neighbour } from "../../../provider/kernel/neighbour";
import { route } from "../../../provider/kernel/route";
import type { KernelObject } from "../../../provider/kernel/state";
import { sysctl } from "../../../provider/kernel/sysctl";
import { tcFilter } from "../../../provider/kernel/tc-filter";
import type { Step } from "../../../provider/reconcile/step";
import { runEntryLine, runFilterLine, runMapLine, runProgramLine, tidyBpf } from "./fake-bpf";
import { runIpLine } from "./fake-ip";
import { runIpsetLine } from "./fake-ipset";
import { runRestore } from "./fake-iptables";
import { printWorld } from "./fake-print";
import { ToolError, type World, withoutOurs } from "./fake-world";

/**
 * Where a batch breaks: at that line of that step, before it is done. A line behind the last one: the tool fails after all its work.
 * A step behind the last one: something fails that comes after the batch.
 */
export interface Break {
  readonly step: number;
  readonly line: number;
}

/** A node that does what the real tools do with a step, and shows itself in their words. */
export class FakeNode {
  constructor(public world: World) {}

  clone(): FakeNode {
    return new FakeNode(structuredClone(this.world));
  }

  /** What is ours, as the parsers read it from the printed node. */
  read(): KernelObject[] {
    const text = printWorld(this.world);
    return [
      ...link.parse(text.link),
      ...sysctl.parse(text.sysctl),
      ...address.parse(text.address),
      ...neighbour.parse(text.neighbour),
      ...route.parse(text.route),
      ...ipRule.parse(text.rule),
      ...chain.parse(text.iptables),
      ...chainRule.parse(text.iptables),
      ...hook.parse(text.iptables),
      ...ipset.parse(text.ipset),
      ...setMember.parse(text.ipset),
      ...bpfMap.parse(text.bpf),
      ...bpfEntry.parse(text.bpf),
      ...bpfProgram.parse(text.bpf),
      ...tcFilter.parse(text.bpf),
    ];
  }

  /** The whole node as text, ours and foreign. */
  print(): string {
    return Object.entries(printWorld(this.world))
      .map(([name, text]) => `== ${name}\n${text}`)
      .join("");
  }

  /** What is not ours as text. */
  foreign(): string {
    return new FakeNode(withoutOurs(structuredClone(this.world))).print();
  }

  /** Does one step. Throws ToolError where the tool ends with an error. */
  run({ tool, input }: Step, breakAt = Number.POSITIVE_INFINITY): void {
    const isAtomic = tool === "iptables" || tool === "arping";
    if (isAtomic && breakAt <= input.length) throw new ToolError("broken by the test");
    if (tool === "iptables") {
      runRestore(this.world, input);
      return;
    }
    input.forEach((line, i) => {
      if (i === breakAt) throw new ToolError("broken by the test");
      this.runLine(tool, line);
    });
    if (breakAt === input.length) throw new ToolError("broken by the test");
  }

  /** Undoes one step as the node program does: `ip -force`, sets and entries line by line, the rest as it stands. */
  undo({ tool, undo }: Step): void {
    const chunks = tool === "ip" || tool === "ipset" || tool === "bpf-entry" ? undo.map((line) => [line]) : [undo];
    for (const lines of chunks) {
      try {
        this.run({ tool, input: lines, undo: [] });
      } catch (error) {
        if (!(error instanceof ToolError)) throw error;
      }
    }
  }

  /** All steps; where one fails, it and those before it are undone (an iptables step that failed did nothing). Undefined if all went well. */
  apply(steps: readonly Step[], breakAt?: Break): ToolError | undefined {
    tidyBpf(this.world);
    const error = this.applyAll(steps, breakAt);
    tidyBpf(this.world);
    return error;
  }

  private applyAll(steps: readonly Step[], breakAt?: Break): ToolError | undefined {
    for (const [i, step] of steps.entries()) {
      try {
        this.run(step, breakAt?.step === i ? breakAt.line : undefined);
      } catch (error) {
        if (!(error instanceof ToolError)) throw error;
        this.undoAll(step.tool === "iptables" ? steps.slice(0, i) : steps.slice(0, i + 1));
        return error;
      }
    }
    if (breakAt?.step !== steps.length) return undefined;
    this.undoAll(steps);
    return new ToolError("broken by the test");
  }

  private undoAll(steps: readonly Step[]): void {
    for (const step of [...steps].reverse()) this.undo(step);
  }

  /** All steps up to a break, and nothing undone: a node that lost power. */
  applyUpTo(steps: readonly Step[], breakAt: Break): void {
    for (const step of steps.slice(0, breakAt.step)) this.run(step);
    const broken = steps[breakAt.step];
    try {
      if (broken) this.run(broken, breakAt.line);
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
    }
  }

  private runLine(tool: Step["tool"], line: string): void {
    switch (tool) {
      case "ip":
        runIpLine(this.world, line);
        return;
      case "ipset":
        runIpsetLine(this.world, line);
        return;
      case "sysctl": {
        const [name = "", , value = ""] = line.split(" ");
        if (!this.world.sysctls.has(name)) throw new ToolError(`/proc/sys/${name}: No such file or directory`);
        this.world.sysctls.set(name, value);
        return;
      }
      case "arping": {
        const [device = "", ip = ""] = line.split(" ");
        if (!this.world.links.has(device)) throw new ToolError(`arping: Interface ${device} is not found`);
        if (this.world.taken.has(ip)) throw new ToolError(`address ${ip} is already used by 02:00:00:00:00:99`);
        return;
      }
      case "bpf-map":
        runMapLine(this.world, line);
        return;
      case "bpf-entry":
        runEntryLine(this.world, line);
        return;
      case "bpf-program":
        runProgramLine(this.world, line);
        return;
      case "tc":
        runFilterLine(this.world, line);
        return;
      default:
        throw new Error(`the fake doesn't know this tool: ${tool}`);
    }
  }
}

/** Every place where a batch can break. */
export function breaksOf(steps: readonly Step[]): Break[] {
  const within = steps.flatMap(({ tool, input }, step) => {
    const lines = tool === "iptables" || tool === "arping" ? [0] : [...input.keys(), input.length];
    return lines.map((line) => ({ step, line }));
  });
  return steps.length === 0 ? [] : [...within, { step: steps.length, line: 0 }];
}
