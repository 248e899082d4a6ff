import { spawnSync } from "node:child_process";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { captureUntilSignal } from "./capture";
import { endBoot, labDown } from "./down";
import { enter } from "./exec";
import { cniProfiles, defaultOptions, type LabOptions, masqProfiles } from "./options";
import { printStatus } from "./print-status";
import { labStatus, labUp } from "./up";

const help = `usage: lab COMMAND [OPTIONS]

  up                     build a lab (the same lab again: nothing to do)
  down                   remove it, also when it is half-built
  status                 print its hosts
  exec HOST -- CMD...    run a command on a host or in a pod; its exit code is the result
  capture [HOST...]      write pcap files until interrupted (default: router, nodes, outside hosts)

  --name NAME            which lab (default ${defaultOptions.name}); labs stand side by side
  --clients N            client nodes (default ${defaultOptions.clients})
  --gateways M           gateway nodes (default ${defaultOptions.gateways})
  --cni PROFILE          ${cniProfiles.join(" | ")} (default ${defaultOptions.cni})
  --masq PROFILE         ${masqProfiles.join(" | ")} (default ${defaultOptions.masq})
  --mtu BYTES            MTU of the nodes' network (default ${defaultOptions.mtu})
  --json                 status as JSON
  --out DIRECTORY        where capture writes (default: captures/ in the lab's directory)
  --help

exit codes: 0 done, 1 failed, 2 wrong usage
`;

class UsageError extends Error {}

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parse(argv);
  const [command, ...rest] = positionals;
  if (values.help || command === "help") {
    process.stdout.write(help);
    return 0;
  }
  if (command !== "exec" && command !== "capture" && rest.length > 0) {
    throw new UsageError(`${command} takes no argument: ${rest.join(" ")}`);
  }
  const name = values.name ?? defaultOptions.name;
  switch (command) {
    case "up": {
      const begin = Date.now();
      // Interrupted, it fails like any other boot, and so cleans up.
      for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => endBoot(name));
      const lab = await labUp(optionsOf(values));
      process.stdout.write(
        `lab "${lab.name}" is up (${((Date.now() - begin) / 1000).toFixed(1)} s), in ${lab.directory}\n`,
      );
      return 0;
    }
    case "down": {
      const gone = await labDown(name);
      process.stdout.write(gone ? `lab "${name}" is gone\n` : `there is no lab "${name}"\n`);
      return 0;
    }
    case "status":
      printStatus(labStatus(name), values.json ?? false);
      return 0;
    case "exec": {
      const [host, ...words] = rest;
      if (host === undefined || words.length === 0)
        throw new UsageError("exec needs a host and a command: exec HOST -- CMD...");
      const [program = "", ...args] = [...enter(labStatus(name), host), ...words];
      const result = spawnSync(program, args, { stdio: "inherit" });
      return result.status ?? 1;
    }
    case "capture":
      return captureUntilSignal(labStatus(name), rest, typedPath(values.out));
    default:
      throw new UsageError(command === undefined ? "no command given" : `unknown command ${JSON.stringify(command)}`);
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        name: { type: "string" },
        clients: { type: "string" },
        gateways: { type: "string" },
        cni: { type: "string" },
        masq: { type: "string" },
        mtu: { type: "string" },
        json: { type: "boolean" },
        out: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** npm starts scripts in the package's folder, and the name was typed in another. */
const typedPath = (typed: string | undefined): string | undefined =>
  typed === undefined ? undefined : path.resolve(process.env.INIT_CWD ?? "", typed);

/** The options given, unchecked: labUp names every bad one. */
function optionsOf(values: ReturnType<typeof parse>["values"]): Partial<LabOptions> {
  const { name, clients, gateways, cni, masq, mtu } = values;
  return {
    ...(name !== undefined && { name }),
    ...(clients !== undefined && { clients: Number(clients) }),
    ...(gateways !== undefined && { gateways: Number(gateways) }),
    ...(cni !== undefined && { cni: cni as LabOptions["cni"] }),
    ...(masq !== undefined && { masq: masq as LabOptions["masq"] }),
    ...(mtu !== undefined && { mtu: Number(mtu) }),
  };
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    const usage = error instanceof UsageError;
    process.stderr.write(`lab: ${error.message}\n${usage ? "See lab --help.\n" : ""}`);
    process.exitCode = usage ? 2 : 1;
  },
);
