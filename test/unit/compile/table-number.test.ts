import { chooseTable } from "../../../provider/compile/table-number";

const range = { start: 3000, count: 4 };
const all = [3000, 3001, 3002, 3003];

test("a leg gets the same table again, in its range", () => {
  const table = chooseTable(range, "client-1/101", new Set());
  expect(all).toContain(table);
  expect(chooseTable(range, "client-1/101", new Set())).toBe(table);
});

test("a table in use is passed over, up in a circle", () => {
  const used = new Set<number>();
  const chosen = all.map(() => {
    const table = chooseTable(range, "client-1/101", used);
    used.add(table);
    return table;
  });
  const [first = 0] = chosen;
  expect(chosen).toEqual(all.map((_, i) => 3000 + ((first - 3000 + i) % 4)));
});

test("the kernel's own tables are never given away", () => {
  const chosen = ["a", "b", "c", "d", "e"].map((seed) =>
    chooseTable({ start: 250, count: 7 }, seed, new Set([250, 251])),
  );
  expect(new Set(chosen)).toEqual(new Set([256]));
});

test("where none is free, the range and the ways out are named", () => {
  expect(() => chooseTable(range, "client-1/101", new Set(all))).toThrow(
    "no free routing table in [3000, 3004): 4 of 4 are in use. Raise fleet.tables.count or move fleet.tables.start.",
  );
});
