import { run } from "../lab/run";

/** The packets of a capture that a tcpdump filter lets through, one line each. */
export async function packetsIn(file: string, filter: string): Promise<string[]> {
  const { stdout } = await run(["tcpdump", "-r", file, "-nn", "-t", filter]);
  return stdout.split("\n").filter((line) => line !== "");
}
