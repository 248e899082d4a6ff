import type { Properties } from "./result";

/** A change that failed, though nodes have it or some of it. */
export class InPart extends Error {}

/** Lets the engine remember what failed in part: it records a resource whose error has an id, and comes to it again in the next run. */
export const recording =
  (id: string, properties: Properties) =>
  (error: Error): never => {
    throw error instanceof InPart ? Object.assign(error, { id, properties, reasons: [error.message] }) : error;
  };

/** Whether a call came to its end. */
export const isDone = (call: Promise<void>): Promise<boolean> =>
  call.then(
    () => true,
    () => false,
  );
