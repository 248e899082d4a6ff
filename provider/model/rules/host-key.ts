import type { Problem } from "../args";
import { type At, text } from "../at";
import { quote } from "../problem";
import { problemAt } from "./rule";

/** The expected host key is an OpenSSH public key line or a SHA256 fingerprint. */
export function hostKeyRule(place: At): Problem[] {
  const key = text(place)?.trim();
  if (key === undefined || key === "" || isFingerprint(key) || isPublicKeyLine(key)) return [];
  return problemAt(
    place,
    `${quote(key)} is neither an OpenSSH public key line nor "SHA256:…". Print it on the node with "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".`,
  );
}

function isFingerprint(key: string): boolean {
  return /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(key);
}

/** The blob of a public key line says its type again. */
function isPublicKeyLine(key: string): boolean {
  const [type = "", base64 = ""] = key.split(/[ \t]+/);
  const blob = Buffer.from(base64, "base64");
  return blob.length > 4 && type !== "" && blob.toString("latin1", 4, 4 + blob.readUInt32BE(0)) === type;
}
