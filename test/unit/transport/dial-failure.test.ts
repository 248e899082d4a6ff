import { type AttemptFacts, DialFailure, explainDialFailure } from "../../../provider/transport/dial-failure";

const target = { host: "gw-1", port: 2222, user: "operator" };
const methods = ["privateKey config:key", "agent env:SSH_AUTH_SOCK"];
const explain = (error: Error, facts: Partial<AttemptFacts> = {}): DialFailure =>
  explainDialFailure(target, { error, connected: true, refusal: undefined, methods, seconds: 15, ...facts });
const failed = (message: string, fields: object = {}): Error => Object.assign(new Error(message), fields);

test.each<[string, Error, Partial<AttemptFacts>, boolean, string]>([
  [
    "no TCP answer",
    failed("Timed out while waiting for handshake", { level: "client-timeout" }),
    { connected: false },
    false,
    "gw-1:2222 did not answer within 15 s; check that the node is up and that no firewall is in between",
  ],
  [
    "no SSH answer",
    failed("Timed out while waiting for handshake", { level: "client-timeout" }),
    {},
    false,
    "gw-1:2222 took the connection but did not let us in within 15 s; check its load and its sshd",
  ],
  [
    "no route",
    failed("connect EHOSTUNREACH 192.168.0.1:2222", { code: "EHOSTUNREACH", level: "client-socket" }),
    { connected: false },
    false,
    "gw-1:2222 cannot be reached (connect EHOSTUNREACH 192.168.0.1:2222); check host, port and the route to it",
  ],
  [
    "a name server that is down",
    failed("getaddrinfo EAI_AGAIN gw-1", { code: "EAI_AGAIN", level: "client-socket" }),
    { connected: false },
    false,
    "the name gw-1 cannot be resolved (EAI_AGAIN); correct connection.host or give an address",
  ],
  [
    "a server that hangs up",
    failed("Connection lost before handshake", { level: "protocol" }),
    {},
    false,
    "gw-1:2222 closed the connection before the login (Connection lost before handshake); check sshd's log there, MaxStartups and DenyUsers",
  ],
  [
    "a server with other algorithms",
    failed("Handshake failed: no matching key exchange algorithm", { level: "handshake" }),
    {},
    true,
    "gw-1:2222 has no algorithm in common with us (Handshake failed: no matching key exchange algorithm); enable curve25519-sha256 and an ed25519, ecdsa or rsa-sha2 host key there",
  ],
  [
    "an agent with more keys than the server takes",
    failed("Too many authentication failures", { code: 2 }),
    {},
    true,
    "gw-1:2222 refused the login of operator@gw-1 (tried privateKey config:key, agent env:SSH_AUTH_SOCK); put the public key into that user's authorized_keys or correct user and references",
  ],
  [
    "a jump host that forwards nothing",
    failed("(SSH) Channel open failure: administratively prohibited: open failed", { reason: 1 }),
    { connected: false },
    true,
    "the jump host does not forward to gw-1:2222 ((SSH) Channel open failure: administratively prohibited: open failed); allow it there with AllowTcpForwarding",
  ],
  [
    "the refusal of a host key, before anything else",
    failed("Host denied (verification failed)", { level: "handshake" }),
    { refusal: "the host key is unknown" },
    true,
    "the host key is unknown",
  ],
])("%s is one sentence with a way out", (_, error, facts, final, message) => {
  expect(explain(error, facts)).toMatchObject({ name: "DialFailure", message, final, cause: error });
});

test("a failure that is explained already stays as it is", () => {
  const failure = new DialFailure("jump host: no", true, undefined);
  expect(explain(failure)).toBe(failure);
});
