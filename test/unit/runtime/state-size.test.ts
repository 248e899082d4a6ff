import { stateOf } from "../../../bench/state/build";
import { exportedBytes, storedBytes } from "../../../bench/state/engine-state";
import { LIMIT, largeStack } from "../../../bench/state/state-size";

test("the state of 1,000 policies on 50 nodes is smaller than 16 MB", async () => {
  const state = await stateOf(largeStack);
  const stored = storedBytes(state);
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
  console.info(`1,000 policies on 50 nodes: ${megabytes(stored)} kept, ${megabytes(exportedBytes(state))} exported`);
  expect(stored).toBeLessThan(LIMIT);
}, 60_000);
