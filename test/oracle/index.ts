/** The oracle: the judge that watches a lab while a scenario runs. It shares no code with what it judges. */
export { skewSeconds } from "./expectations";
export type { Mark } from "./findings";
export { type Change, type ChangeOptions, type Expectation, type Oracle, startOracle, usual, type Who } from "./oracle";
export type { PodReport, SourceReport } from "./pod-report";
export type { Attempt, Count, FailedSpan, HeldConnection } from "./traffic";
export type { Verdict } from "./verdict";
export type { WatchOptions } from "./watch";
