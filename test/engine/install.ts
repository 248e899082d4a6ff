import * as fs from "node:fs";
import * as path from "node:path";
import { runOk } from "../lab/run";

/** The clone that this file belongs to, also when it runs compiled from dist/. */
export const root = findRoot(__dirname);

function findRoot(folder: string): string {
  return fs.existsSync(path.join(folder, "package.json")) ? folder : findRoot(path.dirname(folder));
}

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Makes the package with `npm pack`, as it would be published (which compiles it first), and gives the tarball's path. */
export async function packPackage(folder: string): Promise<string> {
  const argv = ["npm", "pack", "--silent", "--pack-destination", folder];
  const file = await runOk(argv, { cwd: root, timeoutMs: 120_000 });
  return path.join(folder, file.trim());
}

/** Installs a tarball of the package in a project, and beside it what both depend on: what `npm install` does, without a registry. */
export async function installTarball(project: string, tarball: string): Promise<void> {
  const target = path.join(project, "node_modules/pulumi-egress");
  fs.mkdirSync(target, { recursive: true });
  await runOk(["tar", "-xzf", tarball, "-C", target, "--strip-components", "1"]);
  const manifests = [project, target].map((where) => readManifest(path.join(where, "package.json")));
  const names = manifests.flatMap(({ dependencies, devDependencies, peerDependencies }, i) =>
    // Only the project's own development packages are installed.
    Object.keys({ ...dependencies, ...peerDependencies, ...(i === 0 ? devDependencies : {}) }),
  );
  for (const name of new Set(names))
    if (name !== "pulumi-egress") link(project, name, path.join(root, "node_modules", name));
}

/** Installs the package as a link to this clone. */
export function installLink(project: string): void {
  link(project, "pulumi-egress", root);
  link(project, "@pulumi/pulumi", path.join(root, "node_modules/@pulumi/pulumi"));
}

function readManifest(file: string): Manifest {
  return JSON.parse(fs.readFileSync(file, "utf8")) as Manifest;
}

function link(project: string, name: string, target: string): void {
  const place = path.join(project, "node_modules", name);
  fs.mkdirSync(path.dirname(place), { recursive: true });
  fs.symlinkSync(target, place);
}
