import { hex, indexOf, MASK_MARK, MAX_INDEX, markOf, tunnelAddress, tunnelMac } from "../../../provider/model/mark";

const indexes = Array.from({ length: MAX_INDEX }, (_, i) => i + 1);

test("every index comes back from its mark, and all marks differ", () => {
  expect(indexes.map((index) => indexOf(markOf(index)))).toEqual(indexes);
  expect(new Set(indexes.map(markOf)).size).toBe(16383);
});

test("every mark is 0x26VVVV00 without kube-proxy's bits, and whole under its mask", () => {
  const marks = indexes.map(markOf);
  expect(marks.filter((mark) => !/^0x26[0-9a-f]{4}00$/.test(hex(mark)))).toEqual([]);
  expect(marks.filter((mark) => (mark & 0xc000) !== 0 || (mark & MASK_MARK) >>> 0 !== mark)).toEqual([]);
});

test.each([0, 1, 0x26000000, 0x26004000, 0x26008000, 0x26000101, 0x12000100, 0x127000100, -1, Number.NaN])(
  "%p is no node mark",
  (mark) => expect(indexOf(mark)).toBeUndefined(),
);

test.each([0, -1, 16384, 1.5, Number.NaN])("%p is no index", (index) => {
  expect(() => markOf(index)).toThrow(`node index ${index} is not in 1..16383`);
});

test("every index has a tunnel address and a MAC of its own", () => {
  expect(new Set(indexes.map((index) => tunnelAddress("100.126.0.0/18", index))).size).toBe(16383);
  expect(new Set(indexes.map(tunnelMac)).size).toBe(16383);
});
