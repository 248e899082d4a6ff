import { createHmac } from "node:crypto";

/** One usable line of an OpenSSH known_hosts file. */
export interface KnownHostLine {
  readonly marker?: "revoked" | "cert-authority";
  /** The first field as it stands: a comma list of patterns, or one hashed name. */
  readonly names: string;
  readonly keyType: string;
  readonly key: Buffer;
}

/** Reads known_hosts text; comments and lines that are none are passed over, as OpenSSH does. */
export function parseKnownHosts(text: string): KnownHostLine[] {
  return text.split("\n").flatMap((line) => parseLine(line.trim()));
}

function parseLine(line: string): KnownHostLine[] {
  if (line === "" || line.startsWith("#")) return [];
  const fields = line.split(/[ \t]+/);
  const marker = fields[0]?.startsWith("@") ? fields.shift() : undefined;
  if (marker !== undefined && marker !== "@revoked" && marker !== "@cert-authority") return [];
  const [names, keyType, key] = fields;
  if (names === undefined || keyType === undefined || key === undefined) return [];
  const entry = { names, keyType, key: Buffer.from(key, "base64") };
  if (marker === undefined) return [entry];
  return [{ ...entry, marker: marker === "@revoked" ? "revoked" : "cert-authority" }];
}

/** The names under which known_hosts keeps a host: with its port, and bare. */
export function knownHostNames(host: string, port: number): { exact: string; bare: string } {
  const bare = host.toLowerCase();
  return { exact: port === 22 ? bare : `[${bare}]:${port}`, bare };
}

/** Whether a line is about `name`: at least one pattern takes it and no negated one does. */
export function matchesName(line: KnownHostLine, name: string): boolean {
  if (line.names.startsWith("|")) return matchesHashed(line.names, name);
  let matched = false;
  for (const pattern of line.names.toLowerCase().split(",")) {
    if (pattern.startsWith("!")) {
      if (wildcard(pattern.slice(1)).test(name)) return false;
    } else if (wildcard(pattern).test(name)) {
      matched = true;
    }
  }
  return matched;
}

function matchesHashed(names: string, name: string): boolean {
  const [, version, salt, hash] = names.split("|");
  if (version !== "1" || salt === undefined || hash === undefined) return false;
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
}

/** `*` and `?` of OpenSSH patterns; everything else, brackets too, is literal. */
function wildcard(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${source}$`);
}
