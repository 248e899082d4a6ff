import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { ServerHostKeyAlgorithm } from "ssh2";
import type { ConnectionRef } from "../model/connection";
import { expandHome } from "./expand-home";
import { type KnownHostLine, knownHostNames, matchesName, parseKnownHosts } from "./known-hosts";

/** Decides about the key that a server shows. */
export interface HostKeyCheck {
  /** What to offer, the algorithms of the expected keys first: a server has several keys and shows one. */
  readonly algorithms: ServerHostKeyAlgorithm[];
  /** The sentence that refuses `key`, or undefined where it is the expected one. */
  refusal(key: Buffer): string | undefined;
}

type Checked = Pick<ConnectionRef, "host" | "port" | "hostKey" | "knownHosts">;

const DEFAULT_KNOWN_HOSTS = "~/.ssh/known_hosts";

const ALGORITHMS: readonly ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
];

/** The check that `ref` asks for: its `hostKey`, else its known_hosts file. */
export async function createHostKeyCheck(ref: Checked): Promise<HostKeyCheck> {
  if (ref.hostKey !== undefined) return pinned(ref, ref.hostKey.trim());
  const path = ref.knownHosts ?? DEFAULT_KNOWN_HOSTS;
  return known(ref, path, parseKnownHosts(await readKnownHosts(path)));
}

/** `SHA256:…` as ssh-keygen prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

function pinned(ref: Checked, expected: string): HostKeyCheck {
  const wanted = /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(expected) ? expected.replace(/=$/, "") : undefined;
  const line = wanted === undefined ? publicKeyLine(expected) : undefined;
  if (wanted === undefined && line === undefined) {
    throw new Error(
      `hostKey of ${at(ref)} is neither an OpenSSH public key line nor "SHA256:…"; print it on the node with ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`,
    );
  }
  const print = wanted ?? fingerprint(line as Buffer);
  return {
    algorithms: preferred(line === undefined ? [] : [keyType(line)]),
    refusal: (key) =>
      fingerprint(key) === print
        ? undefined
        : `${at(ref)} shows the host key ${named(key)}, but hostKey names ${print}; if the node was reinstalled (or ${print} is its key of another type), set hostKey: "${fingerprint(key)}", otherwise somebody is in between`,
  };
}

function known(ref: Checked, path: string, lines: KnownHostLine[]): HostKeyCheck {
  const { exact, bare } = knownHostNames(ref.host, ref.port ?? 22);
  const exactLines = lines.filter((line) => matchesName(line, exact));
  const authority = exactLines.some((line) => line.marker === "cert-authority");
  const expected = exactLines.filter((line) => line.marker === undefined);
  // As OpenSSH does: an entry without a port also vouches for another port of that host.
  const accepted =
    expected.length > 0 ? expected : lines.filter((line) => line.marker === undefined && matchesName(line, bare));
  const revoked = lines.filter(
    (line) => line.marker === "revoked" && (matchesName(line, exact) || matchesName(line, bare)),
  );
  return {
    algorithms: preferred(accepted.map((line) => line.keyType)),
    refusal: (key) => {
      if (revoked.some((line) => line.key.equals(key)))
        return `the host key ${named(key)} of ${at(ref)} is marked @revoked in ${path}; give the node a new host key`;
      if (accepted.some((line) => line.key.equals(key))) return undefined;
      if (expected.length > 0) return changed(ref, path, expected, exact, key);
      return unknown(ref, path, authority, key);
    },
  };
}

function changed(ref: Checked, path: string, expected: KnownHostLine[], name: string, key: Buffer): string {
  const listed = expected.map((line) => named(line.key)).join(", ");
  return `${at(ref)} shows the host key ${named(key)}, but ${path} has ${listed}; if the node was reinstalled, run ssh-keygen -R "${name}" -f ${path} and accept the new key, otherwise somebody is in between`;
}

function unknown(ref: Checked, path: string, authority: boolean, key: Buffer): string {
  const note = authority ? " (its @cert-authority entry is not used: host certificates are not supported)" : "";
  const port = ref.port === undefined || ref.port === 22 ? "" : `-p ${ref.port} `;
  return `the host key of ${at(ref)} is unknown: it shows ${named(key)} and ${path} has no key for it${note}; compare the fingerprint on the node, then set hostKey: "${fingerprint(key)}" or run ssh-keyscan ${port}${ref.host} >> ${path}`;
}

async function readKnownHosts(path: string): Promise<string> {
  try {
    return await readFile(expandHome(path), "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new Error(`known_hosts file ${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}

function publicKeyLine(text: string): Buffer | undefined {
  const [type, base64] = text.split(/[ \t]+/);
  if (type === undefined || base64 === undefined) return undefined;
  const key = Buffer.from(base64, "base64");
  return keyType(key) === type ? key : undefined;
}

/** The type that a key blob says of itself. */
function keyType(key: Buffer): string {
  if (key.length < 4) return "";
  return key.toString("latin1", 4, 4 + key.readUInt32BE(0));
}

function preferred(types: string[]): ServerHostKeyAlgorithm[] {
  const wanted = new Set(types.flatMap((type) => (type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256"] : [type])));
  return [...ALGORITHMS.filter((name) => wanted.has(name)), ...ALGORITHMS.filter((name) => !wanted.has(name))];
}

function named(key: Buffer): string {
  return `${keyType(key)} ${fingerprint(key)}`;
}

function at(ref: Checked): string {
  return `${ref.host}:${ref.port ?? 22}`;
}
