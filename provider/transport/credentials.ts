import type { Config } from "node-ssh";
import type { Prompt } from "ssh2";
import type { ConnectionRef } from "../model/connection";
import { expandHome } from "./expand-home";
import type { SecretResolver } from "./transport";

/** What ssh2 needs to log in, and what may be said about it. */
export interface Credentials {
  readonly config: Pick<
    Config,
    "privateKey" | "passphrase" | "password" | "agent" | "tryKeyboard" | "onKeyboardInteractive" | "authHandler"
  >;
  /** The ways to log in by the names of their references, for messages: never a secret. */
  readonly methods: readonly string[];
}

type Method = "publickey" | "agent" | "password" | "keyboard-interactive";
type LoginRef = Pick<ConnectionRef, "host" | "privateKey" | "privateKeyPassword" | "password" | "agentSocketPath">;

/** Resolves the references of a connection. The order to try: key, agent, password. */
export async function resolveCredentials(ref: LoginRef, resolveSecret: SecretResolver): Promise<Credentials> {
  const order: Method[] = [];
  const methods: string[] = [];
  const config: Credentials["config"] = {};
  const secret = (field: keyof LoginRef, reference: string): Promise<string> => named(field, reference, resolveSecret);

  if (ref.privateKey !== undefined) {
    config.privateKey = await secret("privateKey", ref.privateKey);
    if (ref.privateKeyPassword !== undefined) {
      config.passphrase = await secret("privateKeyPassword", ref.privateKeyPassword);
    }
    order.push("publickey");
    methods.push(`privateKey ${ref.privateKey}`);
  }
  if (ref.agentSocketPath !== undefined) {
    config.agent = ref.agentSocketPath.startsWith("env:")
      ? await secret("agentSocketPath", ref.agentSocketPath)
      : expandHome(ref.agentSocketPath);
    order.push("agent");
    methods.push(`agent ${ref.agentSocketPath}`);
  }
  if (ref.password !== undefined) {
    const password = await secret("password", ref.password);
    config.password = password;
    config.tryKeyboard = true;
    config.onKeyboardInteractive = (_name, _instructions, _language, prompts, finish) =>
      finish(answers(prompts, password));
    order.push("password", "keyboard-interactive");
    methods.push(`password ${ref.password}`);
  }
  if (order.length === 0) {
    throw new Error(
      `the connection to ${ref.host} names no way to log in; give privateKey, agentSocketPath or password`,
    );
  }
  return { config: { ...config, authHandler: order }, methods };
}

async function named(field: string, reference: string, resolveSecret: SecretResolver): Promise<string> {
  try {
    return await resolveSecret(reference);
  } catch (cause) {
    throw new Error(`${field}: ${(cause as Error).message}`, { cause });
  }
}

/** PAM asks for the password as the only hidden prompt; to anything else we have no answer. */
function answers(prompts: Prompt[], password: string): string[] {
  return prompts.map((prompt) => (prompts.length === 1 && prompt.echo !== true ? password : ""));
}
