import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import * as path from "node:path";

/** As in bpf/: client.bpf.c and so on. */
const NAMES = ["client", "gateway", "connections"] as const;
type Name = (typeof NAMES)[number];

/** Beside this file's folder in the package; in its sources there where the build puts them. */
const FOLDERS = ["../../bpf", "../../dist/bpf"].map((folder) => path.join(__dirname, folder));

const read = new Map<Name, Buffer | undefined>();

function found(name: Name): Buffer | undefined {
  if (!read.has(name)) {
    const file = FOLDERS.map((folder) => path.join(folder, `${name}.bpf.o`)).find((one) => existsSync(one));
    read.set(name, file === undefined ? undefined : readFileSync(file));
  }
  return read.get(name);
}

/**
 * The programs of an object as the package has them.
 * @throws Error where they have not been built.
 */
export function programsOf(name: Name): Buffer {
  const object = found(name);
  if (!object) throw new Error(`the package has no ${name}.bpf.o. Run npm run build where clang is installed.`);
  return object;
}

const digestOf = (bytes: Buffer | undefined): string =>
  bytes === undefined ? "none" : createHash("sha256").update(bytes).digest("hex").slice(0, 16);

let digests: Readonly<Record<Name, string>> | undefined;

/** What tells one version of each object from another; `none` where it has not been built. */
export function objectDigests(): Readonly<Record<Name, string>> {
  digests ??= {
    client: digestOf(found("client")),
    gateway: digestOf(found("gateway")),
    connections: digestOf(found("connections")),
  };
  return digests;
}

/** The same of all objects together. */
export const programsDigest = (): string => Object.values(objectDigests()).join("-");
