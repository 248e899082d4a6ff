import type { SchemaObject } from "ajv";

const port = { type: "integer", minimum: 1, maximum: 65535, description: "a TCP port from 1 to 65535" };
const text = (description: string): SchemaObject => ({ type: "string", minLength: 1, description });

const jumpHost = {
  host: text("a host name or an IPv4 address"),
  port,
  user: text("a login name"),
  privateKey: text('a reference to a private key, "config:KEY", "file:PATH" or "env:NAME"'),
  privateKeyPassword: text('a reference to a passphrase, "config:KEY", "file:PATH" or "env:NAME"'),
  password: text('a reference to a password, "config:KEY", "file:PATH" or "env:NAME"'),
  agentSocketPath: text('the path of an ssh-agent socket, or "env:SSH_AUTH_SOCK"'),
  hostKey: text('an OpenSSH public key line, or "SHA256:…"'),
  knownHosts: text("the path of an OpenSSH known_hosts file"),
  dialErrorLimit: { type: "integer", minimum: 1, maximum: 1000, description: "a number of attempts from 1 to 1000" },
  perDialTimeout: { type: "integer", minimum: 1, maximum: 3600, description: "a number of seconds from 1 to 3600" },
};

/** ConnectionRef. */
export const connectionSchema: SchemaObject = {
  type: "object",
  description: "a connection with at least a host and a way to log in",
  required: ["host"],
  additionalProperties: false,
  properties: {
    ...jumpHost,
    sudo: { type: "boolean", description: "true or false" },
    netns: text("the name of a network namespace of the machine, as in /run/netns"),
    proxy: {
      type: "object",
      description: "a connection to a jump host",
      required: ["host"],
      additionalProperties: false,
      properties: jumpHost,
    },
  },
};
