type Properties = Readonly<Record<string, unknown>>;

/** What `pulumi preview` plans for one resource. */
export interface Planned {
  readonly name: string;
  /** The last word of its type, e.g. `EgressPolicy`. */
  readonly type: string;
  readonly op: string;
  readonly inputs: Properties;
  /** Node → one line a difference. */
  readonly drift: Readonly<Record<string, readonly string[]>>;
}

interface Step {
  readonly op: string;
  readonly urn: string;
  readonly newState?: { readonly inputs?: Properties };
}

/** What `pulumi preview --json` says of the resources that have a provider, in the engine's order. */
export function plannedIn(json: string): Planned[] {
  const { steps } = JSON.parse(json) as { readonly steps: readonly Step[] };
  return steps
    .filter(({ urn }) => urn.includes("pulumi-nodejs:dynamic/egress:"))
    .map(({ op, urn, newState }) => {
      const [type = "", name = ""] = urn.split("::").slice(-2);
      const inputs = newState?.inputs ?? {};
      return { name, type: type.split(":").pop() ?? "", op, inputs, drift: (inputs.drift ?? {}) as Planned["drift"] };
    });
}

/** Those that something happens to. */
export function changedIn(json: string): Planned[] {
  return plannedIn(json).filter(({ op }) => op !== "same");
}

/** What `pulumi preview --json` has to say besides its steps. */
export function saidIn(json: string): string[] {
  const { diagnostics = [] } = JSON.parse(json) as { readonly diagnostics?: readonly { readonly message: string }[] };
  return diagnostics.map(({ message }) => message.trim());
}
