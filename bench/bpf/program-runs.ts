import { execOk, type Lab } from "../../test/lab";
import { run } from "../../test/lab/run";

/** What programs have run since a moment. */
export interface ProgramRun {
  readonly node: string;
  readonly program: string;
  readonly runs: number;
  readonly nanoseconds: number;
}

const SWITCH = "kernel.bpf_stats_enabled";
const PRINT = "for f in /sys/fs/bpf/pulumi-egress/*/egw-*; do bpftool -j prog show pinned $f && echo; done";

/** Runs something with the kernel's counting of program runs on, which costs each run some 20 ns: what each of our programs on these nodes did meanwhile. */
export async function programRuns(
  lab: Lab,
  nodes: readonly string[],
  act: () => Promise<unknown>,
): Promise<ProgramRun[]> {
  const { stdout: former } = await run(["sysctl", "-n", SWITCH]);
  await run(["sysctl", "-qw", `${SWITCH}=1`]);
  try {
    const before = await counted(lab, nodes);
    await act();
    const known = new Map(before.map((one) => [keyOf(one), one]));
    return (await counted(lab, nodes)).map((one) => ({
      ...one,
      runs: one.runs - (known.get(keyOf(one))?.runs ?? 0),
      nanoseconds: one.nanoseconds - (known.get(keyOf(one))?.nanoseconds ?? 0),
    }));
  } finally {
    await run(["sysctl", "-qw", `${SWITCH}=${former.trim() || "0"}`]);
  }
}

const keyOf = ({ node, program }: ProgramRun): string => `${node} ${program}`;

async function counted(lab: Lab, nodes: readonly string[]): Promise<ProgramRun[]> {
  const texts = await Promise.all(nodes.map((node) => execOk(lab, node, ["sh", "-c", PRINT])));
  return texts.flatMap((text, i) =>
    text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => {
        const said = JSON.parse(line) as { name: string; run_cnt?: number; run_time_ns?: number };
        return {
          node: nodes[i] ?? "",
          program: said.name,
          runs: said.run_cnt ?? 0,
          nanoseconds: said.run_time_ns ?? 0,
        };
      }),
  );
}
