import { probe } from "./command.mjs";
import { configProblems } from "./kernel-config.mjs";
import { features } from "./kernel-features.mjs";
import { onPath } from "./machine.mjs";

const names = Object.keys(features);
const toolsOf = (command) => [...command.matchAll(/(?:^|&& )(\w+)/g)].map(([, tool]) => tool);

/** Whether its command, and what comes before it, can be tried with the tools that are there. */
function isTriable(name) {
  const { command, after } = features[name];
  return command !== undefined && toolsOf(command).every((tool) => onPath(tool)) && (!after || isTriable(after));
}

/** Tries these features in namespaces that end with the probe. One sentence for each that is not there. */
function probeProblems(triable) {
  const tries = triable.map((name) => {
    const { command, after } = features[name];
    const [n, before] = [names.indexOf(name), names.indexOf(after)];
    const attempt = `e=$( { ${command}; } 2>&1 >/dev/null ) && ok${n}=1 || echo "${n} $e" | head -1`;
    return after ? `[ -z "$ok${before}" ] || { ${attempt}; }` : attempt;
  });
  const { ok, out, err } = probe("unshare", ["--net", "--mount", "sh", "-c", `${tries.join("\n")}\nexit 0`]);
  if (!ok) {
    return [`The kernel or the container gives no network namespaces (${err.trim()}); a container must be privileged.`];
  }
  return out
    .split("\n")
    .filter(Boolean)
    .map((line) => `The kernel lacks ${names[Number.parseInt(line, 10)]} (${line.replace(/^\d+ /, "")}).`);
}

const known = new Map();

/** What the kernel can't do, all at once: by trying where the tools for it are there, else by what it was built with. */
function kernelProblems() {
  const triable = onPath("unshare") ? names.filter(isTriable) : [];
  const key = triable.join();
  if (!known.has(key)) {
    const found = onPath("unshare") ? probeProblems(triable) : [];
    const untried = names.filter((name) => !triable.includes(name));
    known.set(key, [...found, ...configProblems(untried)]);
  }
  return known.get(key);
}

/** Refuses a kernel that can't do what the nodes need. Some of its tools come with the Debian packages: it comes before and after them. */
export const kernel = { name: "Kernel", missing: kernelProblems };
