/** What the channel of one run said. Everything outside the frame is noise of login shells. */
export type Answer =
  | {
      readonly kind: "complete";
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
      readonly bytes: number;
    }
  | { readonly kind: "short"; readonly arrived: number }
  | { readonly kind: "no-namespace" }
  | { readonly kind: "cut" }
  | { readonly kind: "none" };

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const CLEAN_ENV = `env -i LC_ALL=C PATH=${PATH}`;

/** Seconds that the node waits for the rest of a script, so that a silent end of the network leaves nothing behind. */
const ARRIVAL_LIMIT = 600;

/** A name that is a plain word in every shell, and no path. */
const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** What a script that runs in a network namespace finds its name in. */
const NAMESPACE_VARIABLE = "EGW_NETNS";

/** Exit code of the node's side where there is no such namespace. */
const NO_NAMESPACE = 84;

/** Exit code of the node's side when it could not make its private directory. */
export const NO_DIRECTORY = 81;

/**
 * The remote command that takes a script of `length` bytes from stdin, runs it and prints the framed answer.
 * It holds no text but a number and a hex nonce, and neither quote, backslash, "!" nor newline inside the
 * single quotes, so every login shell passes it on as it is.
 */
export function remoteCommand(run: {
  nonce: string;
  length: number;
  sudo: boolean;
  netns?: string | undefined;
}): string {
  if (!/^[0-9a-f]{16,64}$/.test(run.nonce)) throw new Error("invariant: the nonce is lower-case hex");
  if (!Number.isSafeInteger(run.length) || run.length < 0) throw new Error("invariant: the length is a whole number");
  if (run.netns !== undefined && !NAMESPACE.test(run.netns))
    throw new Error("invariant: the namespace has a plain name");
  const program = nodeProgram(run.nonce, run.length, run.netns);
  return `exec ${run.sudo ? "env LC_ALL=C sudo -n " : ""}${CLEAN_ENV} sh -c '${program}'`;
}

/**
 * Nothing starts before the whole script is in a file. Then it runs in its own session with files for output,
 * so that a dying connection does not reach it. The directory goes before the first byte of the answer is
 * written: a reader that is gone cannot make us leave it behind.
 */
function nodeProgram(nonce: string, length: number, netns: string | undefined): string {
  const namespace = `/run/netns/${netns}`;
  return [
    `umask 077`,
    // Its name cannot be guessed and mkdir takes no name that is there: as private as mktemp, one process less.
    `d=/run/egw-run.${nonce}`,
    `mkdir $d || exit ${NO_DIRECTORY}`,
    `trap "rm -rf $d" EXIT`,
    // PIPE too: a shell that dies of a reader that is gone runs no EXIT trap.
    `trap "exit 82" HUP INT PIPE TERM`,
    `timeout ${ARRIVAL_LIMIT} head -c ${length} >$d/script`,
    `n=$(stat -c %s $d/script)`,
    `test $n -eq ${length} || { rm -rf $d; echo "egw ${nonce} short $n"; exit 83; }`,
    ...(netns === undefined
      ? []
      : [`test -e ${namespace} || { rm -rf $d; echo "egw ${nonce} no-namespace"; exit ${NO_NAMESPACE}; }`]),
    // In the foreground: a job started with "&" would ignore SIGINT and SIGQUIT for good.
    // A namespace changes what is seen of the network, /proc/sys/net too; files and tools are the machine's.
    `setsid -w ${netns === undefined ? "" : `nsenter --net=${namespace} env ${NAMESPACE_VARIABLE}=${netns} `}sh $d/script </dev/null >$d/out 2>$d/err`,
    `c=$?`,
    `exec 3<$d/out 4<$d/err`,
    `set -- $(stat -c %s $d/out $d/err)`,
    `rm -rf $d`,
    `trap - EXIT`,
    `echo "egw ${nonce} begin $c $1 $2"`,
    // By length, since a process that the script left behind may still be writing.
    `test $1 -eq 0 || head -c $1 <&3`,
    `test $2 -eq 0 || head -c $2 <&4`,
    `echo "egw ${nonce} end"`,
  ].join("; ");
}

/** Finds the frame of `nonce` in all that came on stdout. */
export function parseAnswer(received: Buffer, nonce: string): Answer {
  const short = lineAfter(received, `egw ${nonce} short `);
  if (short !== undefined) return { kind: "short", arrived: Number(short.text) };
  if (lineAfter(received, `egw ${nonce} no-namespace`) !== undefined) return { kind: "no-namespace" };
  const begin = lineAfter(received, `egw ${nonce} begin `);
  if (begin === undefined) return { kind: received.includes(`egw ${nonce}`) ? "cut" : "none" };
  const header = /^(\d+) (\d+) (\d+)$/.exec(begin.text);
  if (header === null) return { kind: "cut" };
  const [code, outLength, errLength] = header.slice(1).map(Number) as [number, number, number];
  const errStart = begin.next + outLength;
  const end = errStart + errLength;
  if (received.toString("latin1", end, end + nonce.length + 9) !== `egw ${nonce} end\n`) return { kind: "cut" };
  return {
    kind: "complete",
    code,
    stdout: received.toString("utf8", begin.next, errStart),
    stderr: received.toString("utf8", errStart, end),
    bytes: outLength + errLength,
  };
}

/** The rest of the line that `marker` begins, if all of it is there. */
function lineAfter(received: Buffer, marker: string): { text: string; next: number } | undefined {
  const at = received.indexOf(marker, 0, "latin1");
  if (at < 0) return undefined;
  const newline = received.indexOf("\n", at, "latin1");
  if (newline < 0) return undefined;
  return { text: received.toString("latin1", at + marker.length, newline), next: newline + 1 };
}
