import { parseSections } from "../../../provider/program/frame";
import { claimScript, parseEntry, type RegistryEntry, releaseScript } from "../../../provider/program/registry";
import { STATE_DIRECTORY } from "../../../provider/program/shell-probe";
import { Shell } from "./shell";

const HOLDER = 'shop/prod/"n\\1"\n\u0001 ü (node n1)';
const entry = (key: string, owner: string, holder = HOLDER): RegistryEntry => ({
  key,
  owner,
  holder,
  content: JSON.stringify({ name: "lab" }),
});

let shell: Shell;
beforeEach(() => {
  shell = new Shell();
});
afterEach(() => shell.remove());

const run = (script: string): string => shell.run(script.replaceAll(STATE_DIRECTORY, `${shell.folder}/state`)).stdout;
/** The entries of others that were in the way; undefined where all were claimed. */
function claim(...entries: RegistryEntry[]): (RegistryEntry | undefined)[] | undefined {
  const sections = parseSections(run(claimScript("lab", entries)));
  return sections
    .get("clash")
    ?.split("\n")
    .filter((line) => line !== "")
    .map(parseEntry);
}
const release = (owner: string): boolean => parseSections(run(releaseScript("lab", owner))).has("released");
const inRegistry = (command: string): string => run(`cd ${STATE_DIRECTORY}/registry/lab && ${command}`).trim();

test("what another has is refused, and told as it was written", () => {
  const first = [entry("mark-7", "node-1"), entry("settings", "settings-a")];
  expect(claim(...first)).toBeUndefined();
  expect(claim(...first)).toBeUndefined();
  const others = [entry("mark-7", "node-2"), entry("mark-8", "node-2"), entry("settings", "settings-b")];
  expect(claim(...others)).toEqual(first);
  expect(inRegistry("ls -A")).toBe("mark-7\nsettings");
});

test.each([
  ["is empty", ": > mark-7"],
  ["is cut off", "truncate -s 30 mark-7"],
  ["has no fields", "echo {} > mark-7"],
  ["is another's", "sed -i s/mark-7/mark-9/ mark-7"],
  ["has an escape that is none", "sed -i 's/shop/\\\\q/' mark-7"],
  ["is a folder", "rm mark-7; mkdir -p mark-7/x"],
])("an entry that %s stands in nobody's way, and is written again", (_, damage) => {
  claim(entry("mark-7", "node-1"));
  inRegistry(damage);
  expect(claim(entry("mark-7", "node-2"))).toBeUndefined();
  expect(parseEntry(inRegistry("cat mark-7"))).toEqual(entry("mark-7", "node-2"));
});

test("the folder goes with the last entry that can be read", () => {
  claim(entry("mark-7", "node-1"), entry("mark-8", "node-1"), entry("settings", "settings-a"));
  claim(entry("ip-192.0.2.1", "gateway-1"));
  inRegistry("echo {} > mark-8; touch mark-7~");
  expect(release("node-1")).toBe(true);
  expect(inRegistry("ls")).toContain("ip-192.0.2.1");
  expect(release("gateway-1")).toBe(true);
  expect(run(`ls -d ${STATE_DIRECTORY} 2>/dev/null`)).toBe("");
});

test.each(["registry", "registry/lab"])("where %s is no folder, it is made again", (folder) => {
  claim(entry("mark-7", "node-1"));
  run(`cd ${STATE_DIRECTORY}; rm -r ${folder}; touch ${folder}`);
  expect(claim(entry("mark-7", "node-1"))).toBeUndefined();
  expect(parseEntry(inRegistry("cat mark-7"))).toEqual(entry("mark-7", "node-1"));
});
