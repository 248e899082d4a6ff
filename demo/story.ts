import { isDeepStrictEqual } from "node:util";
import type { PulumiResult } from "../test/engine/pulumi";
import type { Screen } from "./screen";

export interface Observation {
  readonly claim: string;
  readonly expected: unknown;
  readonly seen: unknown;
  readonly holds: boolean;
}

interface Step {
  readonly step: number;
  readonly title: string;
  readonly about: string;
  readonly commands: { readonly command: string; readonly exitCode: number; readonly seconds: number }[];
  readonly observations: Observation[];
  seconds: number;
}

/** What happened in a demo: the steps, each with what was claimed and what was seen. */
export interface Report {
  readonly began: string;
  readonly seconds: number;
  readonly holds: boolean;
  readonly failure?: string;
  readonly steps: readonly Step[];
}

/** An observation that differs from its claim: the demo is over. */
export class ClaimError extends Error {}

/** Tells the steps on a screen and keeps the record. */
export class Story {
  private readonly began = Date.now();
  private readonly steps: Step[] = [];

  constructor(readonly screen: Screen) {}

  async step<T>(title: string, about: string, body: () => Promise<T>): Promise<T> {
    const step: Step = { step: this.steps.length + 1, title, about, commands: [], observations: [], seconds: 0 };
    this.steps.push(step);
    this.screen.step(step.step, title, about);
    const began = Date.now();
    try {
      return await body();
    } finally {
      step.seconds = secondsSince(began);
    }
  }

  /** Compares strictly. @throws ClaimError that shows both where they differ. */
  claim(claim: string, expected: unknown, seen: unknown): void {
    const holds = isDeepStrictEqual(seen, expected);
    this.steps.at(-1)?.observations.push({ claim, expected, seen, holds });
    this.screen.observed(holds, claim);
    if (!holds)
      throw new ClaimError(`${claim}\n  expected ${JSON.stringify(expected)}\n  seen     ${JSON.stringify(seen)}`);
  }

  ran({ command, code, seconds }: PulumiResult): void {
    this.steps.at(-1)?.commands.push({ command, exitCode: code, seconds });
  }

  report(failure?: string): Report {
    const began = new Date(this.began).toISOString();
    const holds = failure === undefined && this.steps.every((step) => step.observations.every((one) => one.holds));
    return {
      began,
      seconds: secondsSince(this.began),
      holds,
      ...(failure === undefined ? {} : { failure }),
      steps: this.steps,
    };
  }
}

const secondsSince = (began: number): number => Math.round((Date.now() - began) / 100) / 10;
