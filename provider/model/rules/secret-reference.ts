import type { Problem } from "../args";
import { type At, at, text } from "../at";

/** Properties of a connection whose values no message may repeat. */
export const SECRET_PROPERTIES: ReadonlySet<string> = new Set(["privateKey", "privateKeyPassword", "password"]);

/** Key material is given by reference: a literal key would be stored in Pulumi state. */
export function secretReferenceRule(connection: At): Problem[] {
  return [...SECRET_PROPERTIES].flatMap((name) => {
    const place = at(connection, name);
    const value = text(place);
    if (value === undefined || value === "" || /^(config|file|env):[^\r\n]+$/.test(value)) return [];
    return [{ path: place.path, message: complaint(name) }];
  });
}

function complaint(name: string): string {
  return (
    "A secret is given by reference, never as its value, which would be stored in Pulumi state. " +
    `Run "pulumi config set --secret egress:${name} < FILE" and give "config:${name}", or give "file:PATH" or "env:NAME".`
  );
}
