import { readFile } from "node:fs/promises";
import { expandHome } from "./expand-home";
import type { SecretResolver } from "./transport";

const NAMESPACE = "egress:";

/**
 * Resolves `config:KEY`, `file:PATH` and `env:NAME`. `config` is asked with the namespace ("egress:KEY",
 * or the one that the reference names). No message of it ever holds a value.
 */
export function createSecretResolver(config: (key: string) => string | undefined): SecretResolver {
  return async (reference) => {
    const colon = reference.indexOf(":");
    const name = reference.slice(colon + 1);
    switch (name === "" ? "" : reference.slice(0, colon)) {
      case "config":
        return fromConfig(config, reference, name);
      case "file":
        return present(await fromFile(reference, name), reference, `put the secret into ${name}`);
      case "env":
        return present(process.env[name], reference, `export ${name} before you run pulumi`);
      default:
        // The text may be the key itself, pasted: it is not repeated.
        throw new Error("a secret is given by reference, as config:KEY, file:PATH or env:NAME, never as its value");
    }
  };
}

function fromConfig(config: (key: string) => string | undefined, reference: string, name: string): string {
  const key = name.includes(":") ? name : NAMESPACE + name;
  return present(config(key), reference, `run pulumi config set --secret ${key} < keyfile`);
}

async function fromFile(reference: string, path: string): Promise<string> {
  try {
    return await readFile(expandHome(path), "utf8");
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new Error(`${reference} cannot be read (${code}); check the path and its permissions`, { cause });
  }
}

/** Without the line end that files and `pulumi config set < file` leave: it would spoil a password. */
function present(value: string | undefined, reference: string, wayOut: string): string {
  const text = value?.replace(/\r?\n$/, "") ?? "";
  if (text === "") throw new Error(`${reference} is not set; ${wayOut}`);
  return text;
}
