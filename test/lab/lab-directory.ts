import * as fs from "node:fs";
import * as path from "node:path";
import { nameProblems } from "./options";
import type { Lab } from "./topology";

/** Everything that the labs of this machine keep lies here. */
const root = "/run/egw-lab";

export function labDirectory(name: string): string {
  const [problem] = nameProblems(name);
  if (problem !== undefined) throw new Error(problem); // it also keeps the path inside root
  return path.join(root, name);
}

/** Takes the directory of a new lab; false when somebody has it. */
export function claimDirectory(name: string): boolean {
  fs.mkdirSync(root, { recursive: true, mode: 0o755 });
  try {
    fs.mkdirSync(labDirectory(name), { mode: 0o755 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

export function removeDirectory(name: string): void {
  fs.rmSync(labDirectory(name), { recursive: true, force: true, maxRetries: 5 });
  try {
    fs.rmdirSync(root);
  } catch {
    // another lab is there, or none ever was
  }
}

export function saveLab(lab: Lab): void {
  const file = path.join(lab.directory, "lab.json");
  fs.writeFileSync(`${file}.new`, `${JSON.stringify(lab, undefined, 2)}\n`);
  fs.renameSync(`${file}.new`, file);
}

/** The lab of this name as it was saved; undefined when there is none, or not even half of one. */
export function loadLab(name: string): Lab | undefined {
  const file = path.join(labDirectory(name), "lab.json");
  return fs.existsSync(file) ? (JSON.parse(fs.readFileSync(file, "utf8")) as Lab) : undefined;
}

export function nodeDirectory(lab: Lab, node: string): string {
  return path.join(lab.directory, "nodes", node);
}

/** A file that stands beside the sources in test/lab, also when this runs compiled from dist/. */
export function sourceFile(name: string): string {
  const beside = path.join(__dirname, name);
  return fs.existsSync(beside) ? beside : path.join(__dirname, "..", "..", "..", "test", "lab", name);
}
