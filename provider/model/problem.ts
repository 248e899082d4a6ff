import type { Problem } from "./args";

/** `path: message`, or the message alone where the problem is about the whole input. */
export function formatProblem(problem: Problem): string {
  return problem.path === "" ? problem.message : `${problem.path}: ${problem.message}`;
}

const inOrder = new Intl.Collator("en", { numeric: true });

/** Sorted by path, then by message; equal ones once. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  const unique = new Map(problems.map((p) => [formatProblem(p), p]));
  return [...unique.values()].sort((a, b) => inOrder.compare(a.path, b.path) || inOrder.compare(a.message, b.message));
}

const LONGEST = 60;

/** A value as a message shows it: lists and objects are named, not printed. */
export function quote(value: unknown): string {
  if (Array.isArray(value)) return "A list";
  if (typeof value === "object" && value !== null) return "An object";
  if (typeof value !== "string") return String(value);
  // Key material is not repeated, whatever property it was put into.
  if (value.includes("PRIVATE KEY")) return "The value";
  return JSON.stringify(value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value);
}

/** `"a", "b" or "c"`; of long lists the first `limit` and how many there are. */
export function listOf(values: readonly string[], last: "or" | "and" = "or", limit = 5): string {
  const quoted = values.map(quote);
  if (quoted.length > limit) return `${quoted.slice(0, limit).join(", ")}, … (${quoted.length} in all)`;
  if (quoted.length < 2) return quoted.join("");
  return `${quoted.slice(0, -1).join(", ")} ${last} ${quoted.at(-1)}`;
}
