import type { Problem } from "../model/args";

/** What the engine's dynamic provider protocol passes around, without its `any`. */
export type Properties = Readonly<Record<string, unknown>>;

export interface CheckResult {
  inputs: Properties;
  failures?: { property: string; reason: string }[];
}

export interface DiffResult {
  changes: boolean;
  replaces?: string[];
  deleteBeforeReplace?: boolean;
}

export function failures(problems: readonly Problem[]): { property: string; reason: string }[] {
  return problems.map(({ path, message }) => ({ property: path, reason: message }));
}

/** Inputs that say nothing about what is wanted: who asks and was called what, whether it is a dry run, what a dry run found. */
const SILENT: ReadonlySet<string> = new Set(["label", "formerly", "dryRun", "drift", "hint", "__provider"]);

/** Names of the properties in which two sets of inputs differ. */
export function changedProperties(olds: Properties, news: Properties): string[] {
  const names = [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter((name) => !SILENT.has(name));
  return names.filter((name) => canonical(olds[name]) !== canonical(news[name])).sort();
}

/** JSON with sorted keys, so that order of keys is no change. */
export function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) =>
      inner !== null && typeof inner === "object" && !Array.isArray(inner)
        ? Object.fromEntries(Object.entries(inner as Record<string, unknown>).sort(([a], [b]) => (a < b ? -1 : 1)))
        : inner,
    ) ?? "undefined"
  );
}

/** True if any part of a value is not known yet. */
export function isUnknown(value: unknown, unknown: string): boolean {
  return JSON.stringify(value)?.includes(unknown) ?? false;
}
