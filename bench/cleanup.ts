import { say } from "./progress";

type Action = () => Promise<unknown> | unknown;

const actions: Action[] = [];

/** What must be undone, however this ends. */
export function atEnd(action: Action): void {
  actions.push(action);
}

/** Undoes everything, the latest first. One that fails does not keep the others from being undone. */
export async function cleanUp(): Promise<void> {
  for (let action = actions.pop(); action; action = actions.pop()) {
    try {
      await action();
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
