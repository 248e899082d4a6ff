import { connect, createServer, type Socket } from "node:net";

/** A TCP relay that can lose its connections after an exact number of bytes. */
export interface CutProxy {
  readonly port: number;
  /** From now on so many bytes pass towards the server (`upload`) or the client (`download`), then everything ends. */
  cutAfter(direction: "upload" | "download", bytes: number): void;
  /** From now on so many bytes pass towards the server, then nothing more until `release`. */
  holdAfter(bytes: number): void;
  release(): void;
  stop(): Promise<void>;
}

export async function startCutProxy(serverPort: number, port = 0): Promise<CutProxy> {
  const left = { upload: Number.POSITIVE_INFINITY, download: Number.POSITIVE_INFINITY };
  const sockets = new Set<Socket>();
  let passBeforeHold = Number.POSITIVE_INFINITY;

  const relay = (direction: "upload" | "download", from: Socket, to: Socket): void => {
    from.on("data", (chunk: Buffer) => {
      const passing = chunk.subarray(0, left[direction]);
      left[direction] -= passing.length;
      to.write(passing, () => {
        if (left[direction] > 0) return;
        to.end(() => to.destroy());
        from.destroy();
      });
      if (direction === "download") return;
      passBeforeHold -= passing.length;
      if (passBeforeHold <= 0) from.pause();
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      to.end();
    });
    sockets.add(from);
  };

  const listener = createServer({ noDelay: true }, (client) => {
    const server = connect({ host: "127.0.0.1", port: serverPort, noDelay: true });
    relay("upload", client, server);
    relay("download", server, client);
  }).listen(port, "127.0.0.1");
  await new Promise((resolve) => listener.once("listening", resolve));
  const address = listener.address();
  if (address === null || typeof address === "string") throw new Error("no port");

  return {
    port: address.port,
    cutAfter(direction, bytes) {
      left[direction] = bytes;
      if (bytes === 0) for (const socket of sockets) socket.destroy();
    },
    holdAfter(bytes) {
      passBeforeHold = bytes;
    },
    release() {
      passBeforeHold = Number.POSITIVE_INFINITY;
      for (const socket of sockets) socket.resume();
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}
