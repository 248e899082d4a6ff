import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";

const root = path.join(__dirname, "../../..");

/** Folder → folders of ours that its files may import, besides their own. `type:` = types only. */
const LAW: Readonly<Record<string, readonly string[]>> = {
  "provider/model": [],
  "provider/kernel": ["provider/model"],
  "provider/compile": ["provider/model", "provider/kernel"],
  "provider/reconcile": ["provider/kernel"],
  "provider/program": ["provider/kernel", "provider/model", "type:provider/reconcile", "type:provider/compile"],
  "provider/transport": ["type:provider/model"],
  "provider/runtime": [
    "provider/model",
    "provider/kernel",
    "provider/compile",
    "provider/reconcile",
    "provider/program",
    "provider/transport",
  ],
  "provider/resources": ["type:provider/model"],
  components: ["provider/model", "provider/resources"],
};

/** Whoever does IO says so by its imports; only these folders may. */
const IO = /^node:(fs|net|child_process|dgram|http|https|tls)|^(node-ssh|ssh2)$/;

interface Import {
  readonly file: string;
  readonly from: string;
  readonly isType: boolean;
}

const imports = Object.keys(LAW).flatMap((folder) => filesIn(folder).flatMap(importsOf));

test.each(Object.entries(LAW))("%s imports what it may", (folder, allowed) => {
  const broken = imports
    .filter(({ file }) => file.startsWith(`${folder}/`))
    .filter(({ file, from, isType }) => {
      if (!from.startsWith(".")) return false;
      const target = folderOf(path.posix.normalize(path.posix.join(path.posix.dirname(file), from)));
      return target !== folder && !allowed.includes(target) && !(isType && allowed.includes(`type:${target}`));
    });
  expect(broken).toEqual([]);
});

test("only transport does IO", () => {
  const io = imports.filter(({ file, from }) => IO.test(from) && !file.startsWith("provider/transport/"));
  expect(io).toEqual([]);
});

test("the runtime is reached by literal requires only", () => {
  for (const file of filesIn("provider/resources")) {
    const text = readFileSync(path.join(root, file), "utf8");
    expect(text).not.toMatch(/from "\.\.\/runtime/);
    for (const [, target = ""] of text.matchAll(/require\(([^)]*)\)/g))
      expect(target).toMatch(/^"pulumi-egress\/runtime\/[a-z-]+"$/);
  }
});

test("no file is longer than 250 lines", () => {
  const long = Object.keys(LAW)
    .flatMap(filesIn)
    .map((file) => ({ file, lines: readFileSync(path.join(root, file), "utf8").split("\n").length }));
  expect(long.filter(({ lines }) => lines > 251)).toEqual([]);
});

function filesIn(folder: string): string[] {
  return readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(root, file), "utf8");
  return [...text.matchAll(/^(?:import|export) (type )?(\{[^}]*\}|[^{}"']*?)?\s*(?:from )?"([^"]+)"/gm)].map(
    ([, type, names = "", from = ""]) => ({
      file,
      from,
      isType:
        type !== undefined ||
        (names.startsWith("{") &&
          names
            .slice(1, -1)
            .split(",")
            .every((name) => /^\s*(type |$)/.test(name))),
    }),
  );
}

function folderOf(file: string): string {
  return Object.keys(LAW).find((folder) => file.startsWith(`${folder}/`)) ?? path.posix.dirname(file);
}
