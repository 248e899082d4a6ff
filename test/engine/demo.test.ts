import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseOptions } from "../../demo/options";
import { picture } from "../../demo/picture";
import { screenOn } from "../../demo/screen";
import { ClaimError, type Report, Story } from "../../demo/story";
import { completeOptions } from "../lab/options";
import { run } from "../lab/run";
import { topologyOf } from "../lab/topology";
import { testFull } from "../setup/skip";
import { root } from "./install";

const demo = (...args: string[]) => run([process.execPath, path.join(root, "dist/demo/demo.js"), ...args]);

/** A screen that keeps what it was given. */
function paper({ isTTY = false, env = {} as NodeJS.ProcessEnv } = {}) {
  const lines: string[] = [];
  const screen = screenOn({ isTTY, write: (text: string) => lines.push(text) > 0 }, env);
  return { screen, text: () => lines.join("") };
}

test("an observation that differs from its claim ends the demo, shows both and is in the report", async () => {
  const { screen, text } = paper();
  const story = new Story(screen);
  const told = story.step("Calls", "Whom does the outside see?", async () => {
    story.claim("the first is as claimed", { a: 1 }, { a: 1 });
    story.claim("it sees the egress IP", "192.0.2.1", "10.0.1.11");
  });
  await expect(told).rejects.toThrow(ClaimError);
  await expect(told).rejects.toThrow('expected "192.0.2.1"\n  seen     "10.0.1.11"');
  expect(text()).toContain("✘ it sees the egress IP");
  const { holds, steps } = story.report();
  expect([holds, steps[0]?.observations.map((one) => one.holds)]).toEqual([false, [true, false]]);
});

test("it colours a terminal only, and not where NO_COLOR is set", () => {
  const coloured = ({ screen, text }: ReturnType<typeof paper>): boolean => {
    screen.command("pulumi up");
    return text().includes("\x1b[");
  };
  const terminal = { isTTY: true };
  expect([paper(), paper(terminal), paper({ ...terminal, env: { NO_COLOR: "1" } })].map(coloured)).toEqual([
    false,
    true,
    false,
  ]);
});

test("the picture has every host and pod of the lab, and marks the selected pods", () => {
  const lab = topologyOf(completeOptions({ clients: 3, gateways: 1 }), "/nowhere");
  const [selected] = lab.pods;
  const drawn = picture(lab, [selected?.address ?? ""]).join("\n");
  for (const { role, name } of lab.hosts) if (role !== "switch") expect(drawn).toContain(name);
  for (const pod of lab.pods) expect(drawn).toContain(`${pod === selected ? "●" : "○"} ${pod.name}  ${pod.address}`);
});

test("it has a help, and refuses what it does not know", async () => {
  expect(await demo("--help")).toMatchObject({ code: 0, stdout: expect.stringContaining("--report FILE") });
  expect(await demo("--what")).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining("--what") });
});

test("the report goes where its name was typed", () => {
  const typed = process.env.INIT_CWD;
  process.env.INIT_CWD = "/somewhere";
  try {
    const files = ["out.json", "/tmp/out.json"].map((file) => parseOptions(["--report", file]).report);
    expect(files).toEqual(["/somewhere/out.json", "/tmp/out.json"]);
  } finally {
    if (typed === undefined) delete process.env.INIT_CWD;
    else process.env.INIT_CWD = typed;
  }
});

testFull(
  "the demo holds what it claims",
  async () => {
    const file = path.join(os.tmpdir(), `egw-demo-${process.pid}.json`);
    const { code, stdout } = await demo("--report", file);
    expect({ code, stdout }).toMatchObject({ code: 0 });
    const { holds, steps } = JSON.parse(fs.readFileSync(file, "utf8")) as Report;
    expect([holds, steps.length]).toEqual([true, 10]);
    fs.rmSync(file);
  },
  300_000,
);
