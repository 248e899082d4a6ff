import { say } from "./progress";

type Action = () => Promise<unknown> | unknown;

const actions: Action[] = [];

/** What must be undone, however this ends. */
export function atEnd(action: Action): void {
  actions.push(action);
}

/** How much there is to undo. */
export const pending = (): number => actions.length;

/** Undoes all but the first `keep`, the latest first. One that fails does not keep the others from being undone. */
export async function cleanUp(keep = 0): Promise<void> {
  while (actions.length > keep) {
    try {
      await actions.pop()?.();
    } catch (error) {
      say(`cleaning up: ${(error as Error).message}`);
    }
  }
}

/** Ctrl-C and kill leave nothing behind either. */
export function cleanUpOnSignals(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)
    process.once(signal, () => {
      say(`${signal}: cleaning up`);
      void cleanUp().finally(() => process.exit(code));
    });
}
