import type { Operator, Recording } from "./operator";

type Properties = Record<string, unknown>;

/** A resource of a program. `inputs` is called with the outputs of those before it, as outputs flow in a Pulumi program. */
export interface Declared {
  readonly type: "node-mark" | "egress-gateway" | "egress-policy";
  readonly name: string;
  readonly inputs: (outputs: (name: string) => Properties) => Properties;
}

interface Recorded {
  readonly type: Declared["type"];
  readonly name: string;
  readonly id: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
  /** Its last change failed, but there it is: the next run comes to it again. */
  readonly isFailed?: boolean;
}

export interface Planned {
  readonly name: string;
  readonly change: "create" | "update" | "replace" | "delete" | "same";
  readonly drift: Readonly<Record<string, readonly string[]>>;
}

export interface UpOptions {
  readonly target?: readonly string[];
  readonly parallel?: number;
  readonly replace?: readonly string[];
  readonly refresh?: boolean;
}

/** What scenarios ask of a stack, whichever engine runs it. */
export type AnyStack = Pick<
  Stack,
  "up" | "preview" | "notes" | "destroy" | "configure" | "outputs" | "id" | "unrecorded"
>;

const ORDER: readonly Declared["type"][] = ["node-mark", "egress-gateway", "egress-policy"];

/**
 * What the engine does with dynamic resources, in the order in which it does it: check and diff one by one,
 * create and update of independent resources at once, deletes last and in reverse. Checked against the real engine in test/engine.
 */
export class Stack {
  private readonly state = new Map<string, Recorded>();
  /** What was replaced by something that was made before it goes. */
  private readonly replaced: Recorded[] = [];
  private config: Readonly<Record<string, string>> = {};

  constructor(
    private readonly operator: Operator,
    private readonly label: { readonly project: string; readonly stack: string } = {
      project: "organization/test",
      stack: "dev",
    },
  ) {}

  /**
   * `parallel`: so many operations at a time; unless given, all. `replace` and `refresh`: as with `--replace` and `--refresh`.
   * @throws Error with all check failures, or those of the first resources that fail.
   */
  async up(program: readonly Declared[], options: UpOptions = {}): Promise<void> {
    await this.newRun();
    if (options.refresh) await this.refresh();
    for (const type of ORDER) {
      const planned = await this.check(
        program.filter((one) => one.type === type),
        false,
        options,
      );
      const steps = planned.map((one) => () => this.execute(one));
      const results = await settled(steps, options.parallel ?? steps.length);
      const failed = results.flatMap((result) =>
        result.status === "rejected" ? [(result.reason as Error).message] : [],
      );
      if (failed.length > 0) throw new Error(failed.join("\n"));
    }
    if (!options.target) await this.removeAll((name) => !program.some((one) => one.name === name));
  }

  /** The engine asks for what state has, and whether that differs, before the program runs. */
  private async refresh(): Promise<void> {
    for (const { type, id, inputs, outputs } of this.state.values()) {
      await this.operator.call(type, "read", id, outputs);
      await this.operator.call(type, "diff", id, outputs, inputs);
    }
  }

  async preview(program: readonly Declared[]): Promise<Planned[]> {
    await this.newRun();
    const shown = new Map<string, Properties>();
    const planned: Planned[] = [];
    for (const type of ORDER) {
      const checked = await this.check(
        program.filter((one) => one.type === type),
        true,
        {},
        shown,
      );
      for (const { declared, change, inputs } of checked)
        planned.push({ name: declared.name, change, drift: (inputs.drift ?? {}) as Planned["drift"] });
    }
    const gone = [...this.state.keys()].filter((name) => !program.some((one) => one.name === name));
    return [...planned, ...gone.map((name): Planned => ({ name, change: "delete", drift: {} }))];
  }

  /** What previews have said besides their steps, since this was last asked. */
  notes(): Promise<string[]> {
    return this.operator.call("own", "notes");
  }

  async destroy(): Promise<void> {
    await this.newRun();
    await this.removeAll(() => true);
  }

  /** What `pulumi config set` does, or `rm` without a value: for every run from now on. */
  async configure(key: string, value?: string): Promise<void> {
    const { [key]: _, ...rest } = this.config;
    this.config = value === undefined ? rest : { ...rest, [key]: value };
  }

  /** What a run does that is killed before it writes its state. */
  async unrecorded(act: () => Promise<void>): Promise<void> {
    const kept = [...this.state];
    await act();
    this.state.clear();
    for (const [name, recorded] of kept) this.state.set(name, recorded);
  }

  /** What `pulumi stack rename` does: the same state under another name. */
  renamed(stack: string): Stack {
    const next = new Stack(this.operator, { ...this.label, stack });
    for (const [name, recorded] of this.state) next.state.set(name, recorded);
    return next;
  }

  /** What an alias does: a resource of another name takes over what is there. */
  rename(from: string, to: string): void {
    const recorded = this.state.get(from);
    if (!recorded) throw new Error(`the stack has no ${from}`);
    this.state.delete(from);
    this.state.set(to, { ...recorded, name: to });
  }

  /** What `retainOnDelete` and `pulumi state delete` do: what it is on the nodes stays. */
  forget(name: string): void {
    this.state.delete(name);
  }

  id(name: string): string | undefined {
    return this.state.get(name)?.id;
  }

  outputs(name: string): Properties {
    const recorded = this.state.get(name);
    if (!recorded) throw new Error(`the stack has no ${name}`);
    return recorded.outputs;
  }

  private newRun(): Promise<void> {
    return this.operator.call("own", "newRun", this.config);
  }

  private async check(
    declared: readonly Declared[],
    dryRun: boolean,
    { target, replace = [] }: UpOptions,
    shown = new Map<string, Properties>(),
  ) {
    const planned: { declared: Declared; change: Planned["change"]; isFirstDeleted: boolean; inputs: Properties }[] =
      [];
    let turn = 0;
    for (const one of declared) {
      if (target && !target.includes(one.name)) continue;
      const old = this.state.get(one.name);
      const raw = one.inputs((name) => shown.get(name) ?? this.outputs(name));
      const ofPolicy = raw.allocation === "round-robin" ? { turn: turn++ } : {};
      const news = { ...raw, ...ofPolicy, label: { ...this.label, name: one.name }, dryRun };
      type Checked = { inputs: Properties; failures?: { property: string; reason: string }[] };
      const ask = async (olds: Properties): Promise<Properties> => {
        const { inputs, failures = [] } = await this.operator.call<Checked>(one.type, "check", olds, news);
        if (failures.length > 0)
          throw new Error(failures.map(({ property, reason }) => `${one.name}: ${property}: ${reason}`).join("\n"));
        return inputs;
      };
      const kept = await ask(old?.inputs ?? {});
      const { change, isFirstDeleted } =
        old && replace.includes(one.name)
          ? { change: "replace" as const, isFirstDeleted: false }
          : await this.changeOf(one, old, kept);
      // The engine asks again for a replacement, which has no past.
      const inputs = change === "replace" ? await ask({}) : kept;
      shown.set(one.name, inputs);
      planned.push({ declared: one, change, isFirstDeleted, inputs });
    }
    return planned;
  }

  private async changeOf(
    one: Declared,
    old: Recorded | undefined,
    inputs: Properties,
  ): Promise<{ change: Planned["change"]; isFirstDeleted: boolean }> {
    if (!old) return { change: "create", isFirstDeleted: false };
    type Difference = { changes: boolean; replaces?: string[]; deleteBeforeReplace?: boolean };
    const {
      changes,
      replaces = [],
      deleteBeforeReplace = false,
    } = await this.operator.call<Difference>(one.type, "diff", old.id, old.outputs, inputs);
    return {
      change: replaces.length > 0 ? "replace" : changes || old.isFailed ? "update" : "same",
      isFirstDeleted: deleteBeforeReplace,
    };
  }

  private async execute({
    declared,
    change,
    isFirstDeleted,
    inputs,
  }: {
    declared: Declared;
    change: Planned["change"];
    isFirstDeleted: boolean;
    inputs: Properties;
  }): Promise<void> {
    const { type, name } = declared;
    const old = this.state.get(name);
    if (change === "same" && old) {
      // The engine keeps the inputs of what it leaves alone.
      this.state.set(name, { ...old, inputs });
      return;
    }
    if (change === "update" && old) {
      const update = this.operator.call<{ outs: Properties }>(type, "update", old.id, old.outputs, inputs);
      const { outs } = await this.recording(declared, inputs, update);
      this.state.set(name, { type, name, id: old.id, inputs, outputs: outs });
      return;
    }
    if (old && isFirstDeleted) await this.operator.call(type, "delete", old.id, old.outputs);
    const create = this.operator.call<{ id: string; outs: Properties }>(type, "create", inputs);
    const { id, outs } = await this.recording(declared, inputs, create);
    this.state.set(name, { type, name, id, inputs, outputs: outs });
    if (old && !isFirstDeleted) this.replaced.push(old);
  }

  /** What fails may be there all the same, and says so. */
  private recording<T>({ type, name }: Declared, inputs: Properties, call: Promise<T>): Promise<T> {
    return call.catch((error: Error & { recorded?: Recording }) => {
      const { id, properties } = error.recorded ?? {};
      if (id !== undefined && properties !== undefined)
        this.state.set(name, { type, name, id, inputs, outputs: properties, isFailed: true });
      throw error;
    });
  }

  private async removeAll(isGone: (name: string) => boolean): Promise<void> {
    for (const type of [...ORDER].reverse()) {
      const gone = [...this.state.values()].filter((one) => one.type === type && isGone(one.name));
      await Promise.all(
        gone.map(async (one) => {
          await this.operator.call(one.type, "delete", one.id, one.outputs);
          this.state.delete(one.name);
        }),
      );
      for (const one of this.replaced.filter((old) => old.type === type)) {
        await this.operator.call(type, "delete", one.id, one.outputs);
        this.replaced.splice(this.replaced.indexOf(one), 1);
      }
    }
  }
}

/** Runs `steps` in their order, so many of them at a time. */
async function settled(steps: readonly (() => Promise<unknown>)[], atATime: number) {
  const results: PromiseSettledResult<unknown>[] = [];
  const rest = [...steps];
  const work = async () => {
    for (let step = rest.shift(); step; step = rest.shift()) results.push(...(await Promise.allSettled([step()])));
  };
  await Promise.all(Array.from({ length: atATime }, work));
  return results;
}
