import type { Batch } from "../../../provider/program/apply";
import { parseSections } from "../../../provider/program/frame";
import { failureOf } from "../../../provider/runtime/batch-failure";
import { EMPTY_BATCH } from "../program/empty-batch";

const BATCH: Batch = {
  ...EMPTY_BATCH,
  steps: [{ tool: "ipset", input: ["create egw-s hash:net", "add egw-s 10.0.1.11"], undo: [] }],
};

const told = (...answer: string[]): string =>
  failureOf("n1", BATCH, parseSections(["@@failed", ...answer, "@@rolled-back", "@@end", ""].join("\n"))).message;

test("the line that a tool refused is quoted", () => {
  expect(told("0 ipset", "ipset v7.17: Error in line 2: Hash is full")).toBe(
    'node n1: ipset line 2 "add egw-s 10.0.1.11" failed: ipset v7.17: Error in line 2: Hash is full. Nothing was changed.',
  );
});

test.each(["1 conntrack", "0 conntrack"])("of connections that can't be ended no line is quoted: %s", (step) => {
  expect(told(step, "ipset v7.17: Error in line 2: Comment cannot be used")).toBe(
    "node n1: conntrack failed: ipset v7.17: Error in line 2: Comment cannot be used. Nothing was changed.",
  );
});

test("nor one that the step does not have", () => {
  expect(told("0 ipset", "Error in line 9: no")).toMatch(/ipset failed: /);
});
