import { hereDocument, parseSections } from "../../../provider/program/frame";
import { Shell } from "./shell";

const NASTY = [
  "$(touch taken) `touch taken` $HOME \\",
  "' \" ; touch taken #",
  "EOF",
  " EGW_DATA_0",
  "\tEGW_DATA_0",
  "",
  "@@end",
  "ünïcödé \u{1F600}",
];

test.each(["sh", "dash", "bash"])("data arrives byte for byte through %s and is never run", (name) => {
  const shell = new Shell();
  const { stdout, status } = shell.run(`cat ${hereDocument(NASTY, 0)}\ncat ${hereDocument(["second"], 1)}\n`, name);
  expect(status).toBe(0);
  expect(stdout).toBe([...NASTY, "second", ""].join("\n"));
  expect(shell.read("taken")).toBe("");
  shell.remove();
});

test.each(["EGW_DATA_0", "EGW_DATA_0\n", "EGW_DATA_17", "EGW_DATA_", "a\nb", "a\n"])(
  "a line that could end the document is refused: %j",
  (line) => {
    expect(() => hereDocument(["first", line], 0)).toThrow("not a line of data");
  },
);

test.each<[string, string, Record<string, string>]>([
  ["nothing", "", {}],
  ["no section", "noise\n", {}],
  ["noise before the first", "Welcome!\n@@link\na\n", { link: "a\n" }],
  ["several", "@@link\na\nb\n@@route\nc\n@@end\n", { link: "a\nb\n", route: "c\n", end: "" }],
  ["empty ones", "@@link\n@@route\n@@end", { link: "", route: "", end: "" }],
  ["a name with a path", "@@registry/lab\n{}\n", { "registry/lab": "{}\n" }],
  ["what only looks like a name", "@@link\n @@route\na @@b\n@@two words\n", { link: " @@route\na @@b\n@@two words\n" }],
])("sections are found in: %s", (_, text, sections) => {
  expect(Object.fromEntries(parseSections(text))).toEqual(sections);
});
