import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { execOk, type Lab, labDump } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { Declared } from "../operator/stack";
import { Random } from "./random";
import { Relay } from "./relay";
import { addressesOf, scenario, usualSource } from "./scenario";

const NODE = "client-1";
const KILOBYTE = 1024;

/** A program in which one node is reached through the relay, without patience. */
function relayed(lab: Lab, program: readonly Declared[]): Declared[] {
  const node = lab.nodes.find(({ name }) => name === NODE);
  const known = fs
    .readFileSync(node?.ssh.knownHostsPath ?? "", "utf8")
    .split("\n")
    .find((line) => line.startsWith(`${node?.underlayIP} `));
  const through = {
    host: "127.0.0.1",
    port: 2222,
    hostKey: known?.split(" ").slice(1).join(" "),
    dialErrorLimit: 1,
    perDialTimeout: 5,
  };
  return program.map((one) => ({
    ...one,
    inputs: (outputs) => {
      const { connection, ...rest } = one.inputs(outputs);
      if (one.name !== NODE) return { ...rest, ...(connection === undefined ? {} : { connection }) };
      return { ...rest, connection: { ...(connection as object), ...through } };
    },
  }));
}

const startRelay = (lab: Lab): Promise<Relay> =>
  Relay.start(lab, lab.nodes.find(({ name }) => name === NODE)?.underlayIP ?? "");

const message = (act: Promise<unknown>): Promise<string | undefined> =>
  act.then(
    () => undefined,
    ({ message: text }: Error) => text,
  );

const isCut = expect.stringMatching(
  /node client-1: .*(nothing was run on the node|may still be running on the node|closed the connection before the login|cannot be reached)/,
);

/** What the kernel of the node has, once nothing that was sent to it runs any more. */
async function kernel(lab: Lab): Promise<string> {
  await execOk(lab, NODE, [
    "sh",
    "-c",
    "for i in $(seq 400); do ls -d /run/egw-run.* 2>/dev/null || exit 0; sleep 0.05; done; exit 1",
  ]);
  return (await labDump(lab, NODE)).split("== files")[0] ?? "";
}

scenario(
  "a connection that is cut anywhere leaves a node as it was, or done; then up goes on",
  { engine: "mini", timeoutMs: 600_000 },
  async ({ lab, stack }) => {
    const program = relayed(
      lab,
      fleetOf(lab).filter(({ name }) => name === NODE),
    );
    const relay = await startRelay(lab);
    try {
      const before = await kernel(lab);
      await stack.up(program);
      const done = await kernel(lab);
      const bytes = await relay.pass();
      await stack.destroy();
      expect(bytes).toBeGreaterThan(10 * KILOBYTE);

      const seen = new Set<string>();
      for (let after = KILOBYTE; after < bytes; after += KILOBYTE) {
        await relay.pass(after);
        const error = await message(stack.up(program));
        await relay.pass();
        await sleep(50);
        const state = await kernel(lab);
        expect({ after, isWhole: state === before || state === done }).toEqual({ after, isWhole: true });
        // What comes last is good-bye, behind the node's answer.
        const isOver = error === undefined && bytes - after <= KILOBYTE && state === done;
        if (!isOver) expect({ after, error }).toEqual({ after, error: isCut });
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

const EGRESS = "192.168.0.200";
const STAYS = "pod-client-1-1";
const COMES_AND_GOES = "pod-client-1-2";
/** So that a batch is several packets of SSH, of which each arrives whole or not at all; no two of them are one network. */
const MANY = Array.from({ length: 700 }, (_, i) => `10.0.${4 + (i >> 7)}.${2 * (i & 127)}`);

/** In each run other places, once in so many bytes. */
const APART = 12 * KILOBYTE;
const random = new Random();

scenario(
  `a connection that is cut anywhere while a gateway changes and a policy takes or lets go: nothing leaks, then up goes on (seed ${random.seed})`,
  { engine: "mini", timeoutMs: 1_200_000 },
  async ({ lab, stack, change }) => {
    const program = (isMore: boolean, weave = isMore) => [
      ...relayed(lab, fleetOf(lab)),
      gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" }, weave }),
      policyOf("policy", "gateway", [
        ...addressesOf(lab, isMore ? [STAYS, COMES_AND_GOES] : [STAYS]),
        ...(isMore ? MANY : []),
      ]),
    ];
    const goesTo = (isMore: boolean, act: () => Promise<unknown>) =>
      change([COMES_AND_GOES], act, {
        to: isMore ? [EGRESS] : [usualSource(lab, COMES_AND_GOES)],
        established: isMore ? "keep" : "cut",
      });
    const relay = await startRelay(lab);
    try {
      await change([STAYS], () => stack.up(program(false)), { to: [EGRESS] });
      // The gateway changes before its policy.
      const whole = new Map<string, string>([[await kernel(lab), "less"]]);
      for (const [isMore, weave] of [
        [false, true],
        [true, true],
        [true, false],
        [false, false],
      ] as const) {
        await goesTo(isMore, () => stack.up(program(isMore, weave)));
        whole.set(await kernel(lab), `${isMore ? "more" : "less"}${weave ? " with weave" : ""}`);
      }
      expect(whole.size).toBe(4);

      const seen = new Set<string | undefined>();
      let [isMore, isOver] = [true, false];
      for (let from = 0; !isOver; from += APART) {
        const after = from + random.next(APART) + 1;
        await relay.pass(after);
        await goesTo(isMore, async () => {
          const error = await message(stack.up(program(isMore)));
          await relay.pass();
          await sleep(50);
          const state = whole.get(await kernel(lab));
          isOver = error === undefined;
          if (!isOver) expect({ after, state, error }).toEqual({ after, state: expect.any(String), error: isCut });
          seen.add(state);
          await stack.up(program(isMore));
        });
        const state = whole.get(await kernel(lab));
        expect({ after, state }).toEqual({ after, state: isMore ? "more with weave" : "less" });
        isMore = !isMore;
      }
      expect([...seen].sort()).toEqual([...whole.values()].sort());
      await change([STAYS, COMES_AND_GOES], () => stack.destroy(), { established: "cut" });
    } finally {
      relay.stop();
    }
  },
);
