export type Properties = Readonly<Record<string, unknown>>;

/** A resource as the engine keeps it. */
export interface Kept {
  readonly type: string;
  readonly name: string;
  readonly id: string;
  readonly inputs: Properties;
  readonly outputs: Properties;
  /** Names of the properties that the program gave. */
  readonly given: readonly string[];
  /** Property → names of the resources that it was made of. */
  readonly from?: Readonly<Record<string, readonly string[]>>;
}

const TIME = "2026-11-21T23:55:22.702944919Z";
const PROVIDER = "pulumi:providers:pulumi-nodejs::default";
const position = (file: string): string => `project:///node_modules/${file}`;

/** Where in program and SDK a resource was made: the engine keeps this of every resource. */
const sourcePosition = position("pulumi-egress/dist/provider/resources/egress-policy.js#58,9");
const stackTrace = [
  { sourcePosition },
  { sourcePosition: "project:///index.js#11,43" },
  ...Array.from({ length: 7 }, () => ({})),
  { sourcePosition: position("@pulumi/cmd/run/run.ts#541,33") },
  { sourcePosition: position("@pulumi/runtime/stack.ts#79,28") },
  { sourcePosition: position("@pulumi/resource.ts#1687,22") },
];

/** A stack's whole state in the shape of CLI 3.259. */
export function engineState(project: string, kept: readonly Kept[]): Properties {
  const stack = `${project}-dev`;
  const urnOf = (type: string, name: string): string => `urn:pulumi:dev::${project}::${type}::${name}`;
  const root = urnOf("pulumi:pulumi:Stack", stack);
  const types = new Map(kept.map(({ name, type }) => [name, type]));
  const urnNamed = (name: string): string => urnOf(types.get(name) ?? "", name);
  const provider = { urn: urnOf("pulumi:providers:pulumi-nodejs", "default"), custom: true, id: TIME, type: PROVIDER };
  const resources = kept.map(({ type, name, id, given, inputs, outputs, from = {} }) => ({
    urn: urnOf(type, name),
    custom: true,
    id,
    type,
    inputs,
    outputs,
    parent: root,
    dependencies: [...new Set(Object.values(from).flat())].map(urnNamed),
    provider: `${provider.urn}::47688114-0d5d-4737-9c6a-fca820d15db2`,
    propertyDependencies: Object.fromEntries(given.map((key) => [key, (from[key] ?? []).map(urnNamed)])),
    created: TIME,
    modified: TIME,
    sourcePosition,
    stackTrace,
  }));
  const made = { urn: root, custom: false, type: "pulumi:pulumi:Stack", created: TIME, modified: TIME, stackTrace };
  const latest = {
    manifest: { time: TIME, version: "3.259.0" },
    resources: [made, provider, ...resources],
    metadata: {},
  };
  return { version: 3, checkpoint: { stack: `organization/${project}/dev`, latest } };
}

/** The backend keeps a state as one line; `pulumi stack export` prints it with this indentation. */
export const storedBytes = (state: Properties): number => Buffer.byteLength(JSON.stringify(state));
export const exportedBytes = (state: Properties): number => Buffer.byteLength(JSON.stringify(state, undefined, 4));
