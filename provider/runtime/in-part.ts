import type { Properties } from "./result";

/** A change that failed, though nodes have it or some of it. */
export class InPart extends Error {}

export const inPart = (error: unknown): InPart =>
  error instanceof InPart ? error : new InPart((error as Error).message, { cause: error });

/**
 * Lets the engine remember what failed in part: it records a resource whose error has an id, and comes to it again in the
 * next run. `isThere`: nodes had it before, whatever failed.
 */
export const recording =
  (id: string, properties: Properties, isThere = false) =>
  (reason: Error): never => {
    const error = isThere ? inPart(reason) : reason;
    throw error instanceof InPart ? Object.assign(error, { id, properties, reasons: [error.message] }) : error;
  };

/** Whether a call came to its end. */
export const isDone = (call: Promise<void>): Promise<boolean> =>
  call.then(
    () => true,
    () => false,
  );
