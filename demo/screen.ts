/** What the demo prints, in one style. */
export interface Screen {
  readonly colours: boolean;
  /** A new step, and in one line what it is about. */
  step(number: number, title: string, about: string): void;
  /** A line of somebody else's output, or a picture. */
  quote(line: string): void;
  /** A command as somebody types it; on a node, where one is named. */
  command(words: string, node?: string): void;
  observed(ok: boolean, text: string): void;
  note(text: string): void;
}

type Stream = Pick<NodeJS.WriteStream, "write"> & { readonly isTTY?: boolean };

export function screenOn(stream: Stream, env: NodeJS.ProcessEnv = process.env): Screen {
  const colours = stream.isTTY === true && (env.NO_COLOR ?? "") === "" && env.TERM !== "dumb";
  const paint = (code: number, text: string): string => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const print = (line: string): void => void stream.write(`${line}\n`);
  return {
    colours,
    step: (number, title, about) => print(`\n${paint(1, `${number}. ${title}`)}\n   ${about}`),
    quote: (line) => print(`   ${paint(2, "│")} ${paint(2, line)}`.trimEnd()),
    command: (words, node) => print(`   ${paint(36, node === undefined ? `$ ${words}` : `root@${node}# ${words}`)}`),
    observed: (ok, text) => print(`   ${ok ? paint(32, "✔") : paint(31, "✘")} ${text}`),
    note: (text) => print(`   ${text}`.trimEnd()),
  };
}
