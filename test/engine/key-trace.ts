import * as fs from "node:fs";
import * as path from "node:path";
import type { Lab } from "../lab";

/** Lines of the lab's key file that are in no other file: the private part, without what all keys have in common. */
export function privateLines(lab: Lab): string[] {
  const lines = fs.readFileSync(lab.nodes[0]?.ssh.keyPath ?? "", "utf8").split("\n");
  return lines.slice(3).filter((line) => line.length > 20 && !line.startsWith("-----"));
}

/** Files that have this text, without what is installed. */
export function filesWith(folder: string, text: string): string[] {
  return fs
    .readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .filter((file) => fs.readFileSync(file).includes(text));
}
