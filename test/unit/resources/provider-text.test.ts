import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import * as typescript from "typescript";

/**
 * Stacks keep the text of our dynamic providers and run it with whatever package is installed then: what it requires
 * must be there for ever. `EGW_UPDATE_GOLDEN=1` writes the golden texts anew; old stacks still hold the old ones.
 */
const root = path.join(__dirname, "../../..");
const kinds = ["node-mark", "egress-gateway", "egress-policy"] as const;
const methods = ["configure", "check", "diff", "create", "read", "update", "delete"] as const;
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "egw-provider-text-"));
let texts: Readonly<Record<string, string>>;

beforeAll(() => {
  compileResources(path.join(folder, "resources"));
  installRecorder(path.join(folder, "node_modules/pulumi-egress"));
  for (const name of ["@pulumi", "require-from-string"]) {
    fs.symlinkSync(path.join(root, "node_modules", name), path.join(folder, "node_modules", name));
  }
  texts = JSON.parse(node(serialize)) as Record<string, string>;
});
afterAll(() => fs.rmSync(folder, { recursive: true }));

test.each(kinds)("the text of %s is what it always was", (kind) => {
  const file = path.join(__dirname, "golden", `${kind}.txt`);
  if (process.env.EGW_UPDATE_GOLDEN === "1") fs.writeFileSync(file, texts[kind] ?? "");
  expect(texts[kind]).toBe(fs.readFileSync(file, "utf8"));
});

test.each(kinds)("the text of %s has no logic: each method is one literal require", (kind) => {
  const lines = texts[kind]?.split("\n").filter((line) => line.startsWith("return ")) ?? [];
  const call = new RegExp(
    `^return async \\(([\\w, ]+)\\) => require\\("pulumi-egress/runtime/${kind}"\\)\\.(\\w+)\\(\\1\\);$`,
  );
  expect(lines.map((line) => call.exec(line)?.[2] ?? line)).toEqual([...methods, "return () => provider;"]);
  expect(texts[kind]?.match(/with\(\{[^}]*\}\)/g)?.filter((scope) => /__(?!provider)/.test(scope))).toEqual([]);
});

test.each(kinds)("the text of %s calls the runtime of the package that is installed where the program is", (kind) => {
  const called = methods.map((method) => `${kind} ${method} a b c`.split(" "));
  const counts = { configure: 1, check: 2, diff: 3, create: 1, read: 2, update: 3, delete: 2 };
  const expected = called.map(([name, method = "", ...args]) => [
    name,
    method,
    ...args.slice(0, counts[method as keyof typeof counts]),
  ]);
  expect(JSON.parse(node(load, texts[kind] ?? ""))).toEqual(expected);
});

/** As tsc builds them; jest's own compiler would write other text. */
function compileResources(target: string): void {
  const sources = path.join(root, "provider/resources");
  const { config } = typescript.readConfigFile(path.join(root, "tsconfig.json"), typescript.sys.readFile);
  const { options } = typescript.convertCompilerOptionsFromJson(config.compilerOptions, root);
  fs.mkdirSync(target);
  for (const file of fs.readdirSync(sources)) {
    const source = fs.readFileSync(path.join(sources, file), "utf8");
    const { outputText } = typescript.transpileModule(source, { compilerOptions: options });
    fs.writeFileSync(path.join(target, file.replace(/\.ts$/, ".js")), outputText);
  }
}

/** The package with its real exports, and a runtime that answers with how it was called. */
function installRecorder(target: string): void {
  const runtime = path.join(target, "dist/provider/runtime");
  fs.mkdirSync(runtime, { recursive: true });
  fs.copyFileSync(path.join(root, "package.json"), path.join(target, "package.json"));
  for (const kind of kinds) {
    const exported = methods.map((method) => `exports.${method} = (...args) => ["${kind}", "${method}", ...args];`);
    fs.writeFileSync(path.join(runtime, `${kind}.js`), exported.join("\n"));
  }
}

const serialize = `
const pulumi = require("@pulumi/pulumi");
const texts = {};
const newResource = ({ name, inputs }) => { texts[name] = inputs.__provider; return { id: name, state: inputs }; };
pulumi.runtime.setMocks({ newResource, call: ({ inputs }) => inputs });
const made = [
  new (require("./resources/node-mark").NodeMark)("node-mark", {}),
  new (require("./resources/egress-gateway").EgressGateway)("egress-gateway", { gateways: [] }),
  new (require("./resources/egress-policy").EgressPolicy)("egress-policy", {}),
];
pulumi.all(made.map(({ urn }) => urn)).apply(() => console.log(JSON.stringify(texts)));`;

// As the SDK's dynamic provider server loads it.
const load = `
const provider = require("require-from-string")(process.argv[1]).handler();
const calls = ${JSON.stringify(methods)}.map((method) => provider[method]("a", "b", "c"));
Promise.all(calls).then((answers) => console.log(JSON.stringify(answers)));`;

function node(code: string, ...args: string[]): string {
  return execFileSync(process.execPath, ["-e", code, ...args], { cwd: folder, encoding: "utf8" });
}
