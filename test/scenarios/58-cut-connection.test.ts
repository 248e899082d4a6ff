import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { execOk, type Lab, labDump } from "../lab";
import { fleetOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { Relay } from "./relay";
import { scenario } from "./scenario";

const NODE = "client-1";
const KILOBYTE = 1024;
/** Of the kilobytes that an enrolment sends, every one in the long matrix. */
const STEP = process.env.EGW_FULL === "1" ? 1 : 8;

/** The enrolment of one node, reached through the relay, without patience. */
function enrolment(lab: Lab): Declared[] {
  const node = lab.nodes.find(({ name }) => name === NODE);
  const known = fs
    .readFileSync(node?.ssh.knownHostsPath ?? "", "utf8")
    .split("\n")
    .find((line) => line.startsWith(`${node?.underlayIP} `));
  const relayed = {
    host: "127.0.0.1",
    port: 2222,
    hostKey: known?.split(" ").slice(1).join(" "),
    dialErrorLimit: 1,
    perDialTimeout: 5,
  };
  return fleetOf(lab)
    .filter(({ name }) => name === NODE)
    .map((one) => ({
      ...one,
      inputs: (outputs) => {
        const { connection, ...rest } = one.inputs(outputs);
        return { ...rest, connection: { ...(connection as object), ...relayed } };
      },
    }));
}

/** What the kernel of the node has, once nothing that was sent to it runs any more. */
async function kernel(lab: Lab): Promise<string> {
  await execOk(lab, NODE, ["sh", "-c", "while ls -d /run/egw-run.* >/dev/null 2>&1; do sleep 0.05; done"]);
  return (await labDump(lab, NODE)).split("== files")[0] ?? "";
}

scenario(
  "a connection that is cut anywhere leaves a node as it was, or done; then up goes on",
  { engine: "mini", timeoutMs: 600_000 },
  async ({ lab, stack }) => {
    const program = enrolment(lab);
    const relay = await Relay.start(lab, lab.nodes.find(({ name }) => name === NODE)?.underlayIP ?? "");
    try {
      const before = await kernel(lab);
      await stack.up(program);
      const done = await kernel(lab);
      const bytes = await relay.pass();
      await stack.destroy();
      expect(bytes).toBeGreaterThan(10 * KILOBYTE);

      const seen = new Set<string>();
      for (let after = STEP * KILOBYTE; after < bytes; after += STEP * KILOBYTE) {
        await relay.pass(after);
        const error = await stack.up(program).then(
          () => undefined,
          ({ message }: Error) => message,
        );
        await relay.pass();
        await sleep(50);
        const state = await kernel(lab);
        expect({ after, isWhole: state === before || state === done }).toEqual({ after, isWhole: true });
        expect({ after, error }).toEqual({
          after,
          error: expect.stringMatching(
            /node client-1: .*(nothing was run on the node|may still be running on the node|closed the connection before the login|cannot be reached)/,
          ),
        });
        seen.add(state === before ? "before" : "done");
        if (state === before) continue;
        await stack.up(program);
        expect((await stack.preview(program)).map(({ change }) => change)).toEqual(["same"]);
        await stack.destroy();
      }
      expect(seen).toContain("before");
      await stack.up(program);
      expect((await stack.preview(program)).map(({ change }) => change)).toEqual(["same"]);
      await stack.destroy();
    } finally {
      relay.stop();
    }
  },
);
