import * as fs from "node:fs";
import * as path from "node:path";
import { MUTANTS } from "../../bpf/mutants/table";

test("each line that the long matrix breaks stands in its file once", () => {
  const found = MUTANTS.map(([purpose, file, before]) => {
    const source = fs.readFileSync(path.join(__dirname, "../../../bpf", file), "utf8");
    return [purpose, source.split(before).length - 1] as const;
  });
  expect(found.filter(([, count]) => count !== 1)).toEqual([]);
});
