import type { Connections } from "./connections";
import type { Expectations } from "./expectations";
import { type Mark, nearestMarks, printTime } from "./findings";
import { tcp, udp } from "./packet";
import type { Traffic } from "./traffic";
import type { Recording } from "./watch";

/** Every attempt that an outside host answered must have been captured, with the source that the host saw. */
export function blindSpots({ attempts }: Traffic, connections: Connections, start: number): string[] {
  const missed = attempts.filter(({ pod, proto, source, port, dport, target }) => {
    if (source === undefined) return false;
    const tuple = { proto: proto === "tcp" ? tcp : udp, sport: port, dst: target, dport };
    return !connections.ofPod(pod, tuple).some(({ seen }) => seen.has(source));
  });
  const [first] = missed;
  if (first === undefined) return [];
  return [
    `the oracle is blind: ${missed.length} connection(s) were answered, but not captured with the source that was answered; ` +
      `first ${printTime(first.time - start)} ${first.pod}:${first.port} → ${first.target} ${first.proto}, seen as ${first.source}`,
  ];
}

/** Seconds: more than two turns of talk. */
const NEXT_LINE = 0.25;

/** Sentences about what did not work though a source was allowed and nothing was changing. */
export function brokenOutsideChanges(
  { traffic: { attempts, held }, begin, end }: Pick<Recording, "traffic" | "begin" | "end">,
  marks: readonly Mark[],
  expectations: Expectations,
): string[] {
  const sentences: { readonly from: number; readonly text: string }[] = [];
  const add = (one: { pod: string; target: string }, from: number, until: number, text: string): void => {
    if (expectations.wasChanging(one.pod, one.target, from, until)) return;
    if (expectations.allowed(one.pod, one.target, from, until).size === 0) return;
    sentences.push({ from, text });
  };
  for (const one of attempts) {
    const { pod, port, target, proto, error, time, until = end } = one;
    if (error !== undefined) add(one, time, until, `${proto} ${pod}:${port} → ${target}: ${error}`);
  }
  for (const one of held) {
    const { pod, port, target, proto, error, time, until = end, silences } = one;
    const name = `held ${proto} ${pod}:${port} → ${target}`;
    // That one never came to be shows seconds after it was tried; that one was cut, with the next line that is sent on it.
    if (error !== undefined) add(one, one.echoed === 0 ? time : until - NEXT_LINE, until, `${name}: ${error}`);
    for (const [from, to] of silences) add(one, from, to, `${name}: no echo for ${(to - from).toFixed(1)} s`);
  }
  return sentences
    .sort((a, b) => a.from - b.from)
    .map(({ from, text }) => {
      const near = nearestMarks(from - begin, marks);
      return [`${printTime(from - begin)} ${text}`, ...(near === "" ? [] : [near])].join("; ");
    });
}
