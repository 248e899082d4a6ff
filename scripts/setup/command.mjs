import { spawn, spawnSync } from "node:child_process";

/** Runs a quick command and returns {ok, out, err}; a command that is not there is not ok. */
export function probe(command, args, options = {}) {
  const run = spawnSync(command, args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    ...options,
    env: { ...process.env, LC_ALL: "C", ...options.env },
  });
  return { ok: run.status === 0, out: run.stdout ?? "", err: run.stderr || (run.error?.message ?? "") };
}

/**
 * Runs a long command without input. Each line it prints goes to `onLine`, and its end into the error if it fails.
 * `limit(output)` gives the milliseconds that it may take, judged anew with each line; then its process group ends.
 */
export function runLong(command, args, { onLine = () => {}, limit = () => Number.POSITIVE_INFINITY, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const began = Date.now();
    const lines = [];
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], detached: true, ...options });
    const end = () => process.kill(-child.pid, "SIGKILL");
    const timer = setInterval(() => Date.now() - began > limit(lines) && end(), 250);
    // Detached, so that a limit ends its children too; hence Ctrl-C has to be passed on.
    const onSignal = () => {
      end();
      process.exit(130);
    };
    process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
    const take = splitLines((line) => {
      lines.push(line);
      onLine(line);
    });
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const done = () => {
      clearInterval(timer);
      process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
    };
    child.on("error", (error) => {
      done();
      reject(new Error(`${command} can't be run: ${error.message}`));
    });
    child.on("close", (code, signal) => {
      done();
      if (code === 0) return resolve(lines);
      const how = signal ? `was ended by ${signal}` : `failed with exit code ${code}`;
      const message = `${[command, ...args].join(" ")} ${how}:\n${headAndTail(lines)}`;
      reject(Object.assign(new Error(message), { lines }));
    });
  });
}

function splitLines(onLine) {
  let rest = "";
  return (chunk) => {
    const parts = (rest + chunk).split(/[\r\n]+/);
    rest = parts.pop();
    for (const line of parts) if (line.trim()) onLine(line);
  };
}

// The cause stands first with some tools and last with others.
function headAndTail(lines) {
  return (lines.length > 24 ? [...lines.slice(0, 12), "…", ...lines.slice(-12)] : lines).join("\n");
}
