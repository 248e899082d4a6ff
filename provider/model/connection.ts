/**
 * How to reach a node, as it is kept in Pulumi state: names of keys, never keys.
 * Field names follow `@pulumi/command`'s `Connection`.
 */
export interface ConnectionRef {
  /** Host name or IPv4 address that the operator dials. */
  readonly host: string;
  /** TCP port. Default 22. */
  readonly port?: number;
  /** Login name. Default "root". */
  readonly user?: string;
  /** Reference to a private key: `config:KEY` (a stack-config secret), `file:PATH`, or `env:NAME`. */
  readonly privateKey?: string;
  /** Reference to the passphrase of the private key, same forms. */
  readonly privateKeyPassword?: string;
  /** Reference to a login password, same forms. */
  readonly password?: string;
  /** Path of an ssh-agent socket. `SSH_AUTH_SOCK` is used only where this says `env:SSH_AUTH_SOCK`. */
  readonly agentSocketPath?: string;
  /** The host key that the node must show: an OpenSSH public key line, or `SHA256:…`. */
  readonly hostKey?: string;
  /** Path of an OpenSSH known_hosts file. Default `~/.ssh/known_hosts`. Not read where `hostKey` is given. */
  readonly knownHosts?: string;
  /** Attempts to connect. Default 10. */
  readonly dialErrorLimit?: number;
  /** Seconds an attempt may take. Default 15. */
  readonly perDialTimeout?: number;
  /** Run the node program through `sudo -n`. Default: true where `user` is not "root". */
  readonly sudo?: boolean;
  /** Name of a network namespace of that machine (`/run/netns/NAME`): it is the node that is programmed, a gateway pod. */
  readonly netns?: string;
  /** A jump host: dialled first, the node is reached through it. */
  readonly proxy?: Omit<ConnectionRef, "proxy" | "sudo" | "netns">;
}
