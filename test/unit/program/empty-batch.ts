import type { Batch } from "../../../provider/program/apply";

/** A batch for an enrolled node that changes nothing. */
export const EMPTY_BATCH: Batch = {
  expectedGeneration: 0,
  steps: [],
  newTables: [],
  objects: [],
  claims: { write: {}, remove: [] },
  node: "{}",
  compiler: "1",
  cuts: [],
  bury: undefined,
  announce: [],
  restoreIp: [],
  installRestore: false,
};
