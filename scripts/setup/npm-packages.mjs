import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { runLong } from "./command.mjs";
import { root } from "./places.mjs";

const readPackages = (file) => JSON.parse(readFileSync(join(root, file), "utf8")).packages;

/** The first package that is not as package-lock.json wants it. By content: clones and `npm install` change times. */
function firstWrong() {
  if (!existsSync(join(root, "node_modules/.package-lock.json"))) return "node_modules";
  const installed = readPackages("node_modules/.package-lock.json");
  for (const [path, wanted] of Object.entries(readPackages("package-lock.json"))) {
    if (path === "" || wanted.link) continue;
    const there = installed[path];
    if (!there && (wanted.optional || wanted.devOptional || wanted.peer)) continue;
    if (there?.version !== wanted.version || there.integrity !== wanted.integrity || !existsSync(join(root, path))) {
      return path;
    }
  }
  return undefined;
}

/** npm, run by the Node that runs us: an npm older than Node 22 must not meet it. */
export function npm(args, options) {
  const entry = process.env.npm_execpath;
  const [command, first] = entry?.endsWith(".js") ? [process.execPath, [entry]] : ["npm", []];
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error"];
  return runLong(command, [...first, ...args, ...quiet], options);
}

/** The npm packages of package-lock.json. No install scripts: all that they would build or fetch is optional here. */
export const npmPackages = {
  name: "npm packages",
  missing() {
    const wrong = firstWrong();
    return wrong ? [`npm packages as in package-lock.json (first: ${wrong})`] : [];
  },
  async bring(progress) {
    progress("npm ci");
    await npm(["ci", "--ignore-scripts"], { cwd: root, onLine: progress });
  },
};
