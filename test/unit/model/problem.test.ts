import { formatProblem, listOf, quote, sortProblems } from "../../../provider/model/problem";

test.each<[unknown, string]>([
  ["a\nb", '"a\\nb"'],
  ["x".repeat(60), `"${"x".repeat(60)}"`],
  ["x".repeat(61), `"${"x".repeat(60)}…"`],
  [7, "7"],
  [null, "null"],
  [["a"], "A list"],
  [{ a: 1 }, "An object"],
  ["-----BEGIN RSA PRIVATE KEY-----", "The value"],
])("%j is quoted", (value, text) => expect(quote(value)).toBe(text));

test.each<[string[], string]>([
  [[], ""],
  [["a"], '"a"'],
  [["a", "b"], '"a" or "b"'],
  [["a", "b", "c", "d", "e"], '"a", "b", "c", "d" or "e"'],
  [["a", "b", "c", "d", "e", "f"], '"a", "b", "c", "d", "e", … (6 in all)'],
])("the list of %j", (values, text) => expect(listOf(values)).toBe(text));

test("problems are sorted by path, then by message, and equal ones are there once", () => {
  const of = (path: string, message: string): { path: string; message: string } => ({ path, message });
  const problems = [of("b", "2"), of("a[10]", "x"), of("b", "1"), of("a[9]", "x"), of("b", "1"), of("", "all")];
  expect(sortProblems(problems).map(formatProblem)).toEqual(["all", "a[9]: x", "a[10]: x", "b: 1", "b: 2"]);
});
