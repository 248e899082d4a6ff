/** Sections of what a node program prints: `@@name`, then its lines. */
export type Sections = ReadonlyMap<string, string>;

export function parseSections(stdout: string): Sections {
  const sections = new Map<string, string>();
  let name: string | undefined;
  let start = 0;
  // Lines end by a newline only: JSON leaves other ends of lines in names as they are.
  const header = /(?<=^|\n)@@(\S+)(?=\n|$)/g;
  for (let match = header.exec(stdout); match; match = header.exec(stdout)) {
    if (name !== undefined) sections.set(name, stdout.slice(start, match.index));
    name = match[1];
    start = match.index + match[0].length + 1;
  }
  if (name !== undefined) sections.set(name, stdout.slice(start));
  return sections;
}

/** A here-document whose delimiter can't occur in `lines`: data never becomes shell text. */
export function hereDocument(lines: readonly string[], index: number): string {
  const delimiter = `EGW_DATA_${index}`;
  for (const line of lines) {
    if (line.includes("\n") || line.startsWith("EGW_DATA_"))
      throw new Error(`not a line of data: ${JSON.stringify(line.slice(0, 80))}`);
  }
  return `<<'${delimiter}'\n${lines.map((line) => `${line}\n`).join("")}${delimiter}`;
}

/** Says that a file system is full, before anything was changed. */
export const NO_SPACE = 'echo "@@no-space $D"';

/** egw_place FROM TO. A folder in a file's place would take the file in. */
export const PLACE_FUNCTION = 'egw_place() { [ ! -d "$2" ] || rm -rf "$2"; mv "$1" "$2"; }';

/** A command with a here-document, which has to arrive whole: `egw_full` where the shell or the command has no room for it. */
export const whole = (command: string, document: string): string =>
  `${command} ${document.replace("\n", " || egw_full\n")}`;
