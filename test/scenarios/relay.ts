import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { enter, type Lab } from "../lab";

/** A line in says how many more bytes may go to the node before all connections end; the line out, how many went since the last. */
const PROGRAM = `
const net = require("node:net");
let left = Infinity, sent = 0;
const open = new Set();
const end = () => open.forEach((socket) => socket.destroy());
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  console.log(sent);
  [left, sent] = [line === "" ? Infinity : Number(line), 0];
});
net.createServer((client) => {
  const server = net.connect(22, process.argv[1]);
  const pair = [client, server];
  for (const socket of pair) {
    open.add(socket);
    socket.on("error", () => {}).on("close", () => pair.forEach((one) => { one.destroy(); open.delete(one); }));
  }
  client.on("data", (data) => {
    const passing = data.subarray(0, left);
    left -= passing.length;
    sent += passing.length;
    server.write(passing, () => left <= 0 && end());
  });
  server.pipe(client);
}).listen(2222, "127.0.0.1", () => console.log("ready"));
`;

/** Stands before the sshd of a node, in the operator's namespace on port 2222, and can cut what passes. */
export class Relay {
  private constructor(
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string>,
  ) {}

  static async start(lab: Lab, address: string): Promise<Relay> {
    const [command = "", ...words] = [...enter(lab, "operator"), process.execPath, "-e", PROGRAM, address];
    const child = spawn(command, words, { stdio: ["pipe", "pipe", "inherit"] });
    if (!child.stdout) throw new Error("a relay without output");
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    await lines.next();
    return new Relay(child, lines);
  }

  /** From now on so many bytes pass, or all; gives how many passed since this was last said. */
  async pass(bytes?: number): Promise<number> {
    this.child.stdin?.write(`${bytes ?? ""}\n`);
    return Number((await this.lines.next()).value);
  }

  stop(): void {
    this.child.kill();
  }
}
