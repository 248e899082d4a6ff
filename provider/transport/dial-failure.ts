import type { ConnectionRef } from "../model/connection";

/** Facts about one failed attempt that its error alone does not tell. */
export interface AttemptFacts {
  readonly error: unknown;
  /** The TCP connection (or the jump host's channel) stood. */
  readonly connected: boolean;
  /** The sentence of the host key check, where it refused. */
  readonly refusal: string | undefined;
  /** The ways to log in, by the names of their references. */
  readonly methods: readonly string[];
  /** How long the attempt was allowed to take. */
  readonly seconds: number;
}

/** A failed attempt in one sentence. `final`: another attempt would end the same way. */
export class DialFailure extends Error {
  constructor(
    message: string,
    readonly final: boolean,
    cause: unknown,
  ) {
    super(message, { cause });
    this.name = "DialFailure";
  }
}

interface SshError extends Error {
  readonly code?: string | number;
  readonly level?: string;
}

/** Reads an attempt's error once, here; nobody after this looks at its text. */
export function explainDialFailure(
  target: Pick<ConnectionRef, "host" | "port" | "user">,
  facts: AttemptFacts,
): DialFailure {
  if (facts.error instanceof DialFailure) return facts.error;
  const error = facts.error as SshError;
  const at = `${target.host}:${target.port ?? 22}`;
  const final = (message: string): DialFailure => new DialFailure(message, true, error);
  const passing = (message: string): DialFailure => new DialFailure(message, false, error);

  if (facts.refusal !== undefined) return final(facts.refusal);
  if (/Cannot parse privateKey|privateKey value does not contain/.test(error.message)) {
    return final(
      `${facts.methods[0]} cannot be used (${error.message.replace(/^Cannot parse privateKey: /, "")}); give a whole OpenSSH or PEM private key, and privateKeyPassword if it has a passphrase`,
    );
  }
  if (error.level === "client-authentication" || /Too many authentication failures/.test(error.message)) {
    return final(
      `${at} refused the login of ${target.user ?? "root"}@${target.host} (tried ${facts.methods.join(", ")}); put the public key into that user's authorized_keys or correct user and references`,
    );
  }
  if (error.level === "agent") {
    return final(
      `the ssh-agent does not work (${error.message}; tried ${facts.methods.join(", ")}); start it or give privateKey`,
    );
  }
  if (error.level === "handshake" && /no matching/i.test(error.message)) {
    return final(
      `${at} has no algorithm in common with us (${error.message}); enable curve25519-sha256 and an ed25519, ecdsa or rsa-sha2 host key there`,
    );
  }
  if (error.code === "ENOTFOUND" || error.code === "EAI_AGAIN") {
    return passing(
      `the name ${target.host} cannot be resolved (${error.code}); correct connection.host or give an address`,
    );
  }
  if (error.code === "ECONNREFUSED" || /Connection refused/.test(error.message)) {
    return passing(`${at} refused the connection; start sshd there or correct host and port`);
  }
  if (/administratively prohibited/i.test(error.message)) {
    return final(`the jump host does not forward to ${at} (${error.message}); allow it there with AllowTcpForwarding`);
  }
  if (error.level === "client-timeout" && !facts.connected) {
    return passing(
      `${at} did not answer within ${facts.seconds} s; check that the node is up and that no firewall is in between`,
    );
  }
  if (error.level === "client-timeout") {
    return passing(
      `${at} took the connection but did not let us in within ${facts.seconds} s; check its load and its sshd`,
    );
  }
  if (facts.connected) {
    return passing(
      `${at} closed the connection before the login (${error.message}); check sshd's log there, MaxStartups and DenyUsers`,
    );
  }
  return passing(`${at} cannot be reached (${error.message}); check host, port and the route to it`);
}
