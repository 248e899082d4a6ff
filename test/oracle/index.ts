/**
 * The oracle: the judge that watches a lab while a scenario runs. It shares no code with what it judges.
 *
 *   pod ──► node ──► node's uplink ──► router ──► wire to the outside
 *    ▲ sent          ▲ left or tunnelled           ▲ seen
 *
 * It captures at all three places. What no NAT changes (sequence numbers, payloads) tells of which connection of
 * which pod a packet is that left, and so by which expectation it is judged:
 * - its first packet shows a source that was allowed between the connection's begin and that packet;
 * - every later packet shows the same source, whatever else is allowed; after a change that cuts, only if allowed then;
 * - through the tunnel goes only what a pod sent that may show a foreign address, and answers to it;
 * - what no pod sent is wrong, unless it answers an outside host from the address that was spoken to, is an ICMP error
 *   of a node, or is announced as a node's own.
 */
export { skewSeconds } from "./expectations";
export type { Mark } from "./findings";
export { type Change, type ChangeOptions, type Expectation, type Oracle, startOracle, usual, type Who } from "./oracle";
export type { PodReport, SourceReport } from "./pod-report";
export type { Attempt, Count, FailedSpan, HeldConnection } from "./traffic";
export type { Verdict } from "./verdict";
export type { WatchOptions } from "./watch";
