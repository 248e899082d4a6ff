import { type Answer, parseAnswer, remoteCommand } from "../../../provider/transport/framing";

const nonce = "0123456789abcdef0123456789abcdef";
const frame = `egw ${nonce} begin 7 4 3\nout\nerregw ${nonce} end\n`;
const parse = (text: string | Buffer): Answer => parseAnswer(Buffer.from(text), nonce);
const complete = { kind: "complete", code: 7, stdout: "out\n", stderr: "err", bytes: 7 };

test.each([
  ["the bare frame", frame],
  ["noise before, with a line end", `Welcome!\n${frame}`],
  ["noise before, without a line end", `Welcome!${frame}`],
  ["noise that looks like another run's frame", `egw ${"f".repeat(32)} begin 0 0 0\n${frame}`],
  ["noise after", `${frame}Goodbye\negw`],
])("the answer is found in %s", (_, text) => {
  expect(parse(text)).toEqual(complete);
});

test("an answer that is cut off anywhere is never taken for a whole one", () => {
  for (let length = 0; length < frame.length; length++) {
    expect(parse(frame.slice(0, length)).kind).toMatch(/^(none|cut)$/);
  }
  expect(parse(frame)).toEqual(complete);
});

test.each([
  ["a line lost from the body", frame.replace("out\n", ""), "cut"],
  ["a line too many in the body", frame.replace("out\n", "out\nnoise\n"), "cut"],
  ["a header that is none", frame.replace("7 4 3", "7 4"), "cut"],
  ["only noise", "This account is not available.\n", "none"],
  ["another run's answer", frame.replaceAll(nonce, "f".repeat(32)), "none"],
])("%s is no answer", (_, text, kind) => {
  expect(parse(text)).toEqual({ kind });
});

test("output keeps its bytes: UTF-8, NUL, no final line end, text that looks like a frame", () => {
  const out = `ä\0€ egw ${nonce} end\negw begin`;
  const text = `egw ${nonce} begin 0 ${Buffer.byteLength(out)} 0\n${out}egw ${nonce} end\n`;
  expect(parse(text)).toMatchObject({ kind: "complete", stdout: out });
});

test("a program that did not arrive whole is reported with what did", () => {
  expect(parse(`noise\negw ${nonce} short 17\n`)).toEqual({ kind: "short", arrived: 17 });
});

test("the command holds nothing that a login shell could read otherwise, and no text but nonce and length", () => {
  const command = remoteCommand({ nonce, length: 4711, sudo: true });
  const inside = command.slice(command.indexOf("'") + 1, command.lastIndexOf("'"));
  expect(inside).not.toMatch(/['\\!\n]/);
  const other = remoteCommand({ nonce: "f".repeat(32), length: 4712, sudo: true });
  expect(other.replaceAll("f".repeat(32), nonce).replaceAll("4712", "4711")).toBe(command);
});

test("in a namespace it has its name besides, and says so where there is none", () => {
  const command = remoteCommand({ nonce, length: 1, sudo: false, netns: "cni-6f1e.1_a" });
  const inside = command.slice(command.indexOf("'") + 1, command.lastIndexOf("'"));
  expect(inside).not.toMatch(/['\\!\n]/);
  expect(inside).toContain("nsenter --net=/run/netns/cni-6f1e.1_a env EGW_NETNS=cni-6f1e.1_a sh ");
  expect(parse(`egw ${nonce} no-namespace\n`)).toEqual({ kind: "no-namespace" });
  for (const netns of ["", "..", "../x", "a b", "$(reboot)", "a'b", "a\nb", "x".repeat(65)])
    expect(() => remoteCommand({ nonce, length: 1, sudo: false, netns })).toThrow(/namespace/);
});

test.each([
  [{ nonce: "$(reboot)", length: 1 }, /nonce/],
  [{ nonce: "ABCDEF0123456789", length: 1 }, /nonce/],
  [{ nonce: `${nonce}\n`, length: 1 }, /nonce/],
  [{ nonce, length: -1 }, /length/],
  [{ nonce, length: 1.5 }, /length/],
  [{ nonce, length: Number.NaN }, /length/],
])("nonce and length are checked: %j", (run, message) => {
  expect(() => remoteCommand({ ...run, sudo: false })).toThrow(message);
});
