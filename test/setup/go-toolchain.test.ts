import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const source = join(__dirname, "../../scripts/setup/go-toolchain.mjs");
const text = readFileSync(source, "utf8");
const found = (pattern: RegExp): string => pattern.exec(text)?.[1] ?? "";
const version = found(/version = "([\d.]+)"/);
const sum = found(new RegExp(`${process.arch}: "(h1:[^"]+)"`));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "egw-go-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string, mode = 0o644): void {
  mkdirSync(join(folder, name, ".."), { recursive: true });
  writeFileSync(join(folder, name), content, { mode });
}

/** Has set-up look for a Go where the machine's is this one, and its module proxy answers so. */
function lookWith(machines: string | undefined, answer: object, code = 0) {
  const download = `echo "$*" >>${folder}/asked; /bin/cat ${folder}/answer; exit ${code}`;
  const script = `#!/bin/sh\n[ "$1" = version ] && { echo go version ${machines} linux/amd64; exit; }\n${download}\n`;
  if (machines !== undefined) write("path/go", script, 0o755);
  write("answer", `go: downloading golang.org/toolchain\n${JSON.stringify(answer, undefined, "\t")}\n`);
  const program = `import { goToBuildWith } from ${JSON.stringify(pathToFileURL(source).href)};
    goToBuildWith(() => {}).then((go) => console.log(go.command), (error) => console.log(error.message));`;
  const env = { ...process.env, PATH: join(folder, "path") };
  const { stdout } = spawnSync(process.execPath, ["--input-type=module", "-e", program], { env, encoding: "utf8" });
  return { said: stdout.trim(), asked: existsSync(join(folder, "asked")) };
}

/** A toolchain as the module cache has it: nothing is executable, and go.mod is called otherwise. */
function toolchain(): string {
  write("module/bin/go", `#!/bin/sh\necho go version go${version} linux/amd64\n`);
  write("module/pkg/tool/linux_amd64/compile", "");
  write("module/src/_go.mod", "module std\n");
  return join(folder, "module");
}

test("a Go that is new enough builds, and no other is asked for", () => {
  expect(lookWith("go1.26.0", {})).toEqual({ said: "go", asked: false });
});

test.each(["go1.19.8", "go1.22.2"])("%s fetches a newer one as a Go module and makes it usable", (old) => {
  const module_ = toolchain();
  expect(lookWith(old, { Dir: module_, Sum: sum })).toEqual({ said: join(module_, "bin/go"), asked: true });
  expect(readFileSync(join(folder, "asked"), "utf8")).toContain(`golang.org/toolchain@v0.0.1-go${version}.linux-`);
  expect(statSync(join(module_, "pkg/tool/linux_amd64/compile")).mode & 0o777).toBe(0o755);
  expect(readFileSync(join(module_, "src/go.mod"), "utf8")).toBe("module std\n");
});

const refused = "The Pulumi CLI can't be downloaded here, and to build it takes Go 1.26 or newer, not go1.19.8;";

test("another toolchain than the pinned one is refused, and not run", () => {
  const module_ = toolchain();
  const { said } = lookWith("go1.19.8", { Dir: module_, Sum: "h1:other" });
  expect(said).toContain(`${refused} one could not be had through GOPROXY either: golang.org/toolchain@v0.0.1-go`);
  expect(said).toContain(`has the checksum h1:other and should have ${sum}`);
  expect(statSync(join(module_, "bin/go")).mode & 0o111).toBe(0);
});

test("where there is none, the proxy's own words are told", () => {
  const { said } = lookWith("go1.19.8", { Error: 'Get "https://proxy/": refused' }, 1);
  expect(said).toBe(`${refused} one could not be had through GOPROXY either: Get "https://proxy/": refused`);
});

test("without any Go it says so", () => {
  expect(lookWith(undefined, {}).said).toBe(
    "The Pulumi CLI can't be downloaded here, and to build it there is no Go on PATH.",
  );
});

test.each(["pulumi", "pulumi-language-nodejs"])("it is as new as the build of %s asks for", (name) => {
  const asked = readFileSync(join(__dirname, "../../scripts/setup/go", name, "go.mod"), "utf8");
  const [, minor] = version.split(".").map(Number);
  expect(Number(/^go 1\.(\d+)/m.exec(asked)?.[1])).toBeLessThanOrEqual(minor ?? 0);
});
