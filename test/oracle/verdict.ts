import type { Lab } from "../lab";
import { blindSpots, brokenOutsideChanges } from "./broken";
import type { Expectations } from "./expectations";
import type { Mark } from "./findings";
import { judge } from "./judge";
import { type PodReport, podReports } from "./pod-report";
import { type Count, countAttempts } from "./traffic";
import type { Recording } from "./watch";

export interface Verdict {
  /** Everything that left with a source that was not allowed, a sentence each; also whatever makes the run prove nothing. */
  readonly failures: readonly string[];
  /** Attempts that failed and held connections that broke or fell silent while nothing was changing and a source was allowed. */
  readonly brokenOutsideChanges: readonly string[];
  /** What the senders tried, and what came of it. */
  readonly attempts: Count;
  readonly pods: Readonly<Record<string, PodReport>>;
  /** Packets judged, connections of pods seen outside, and packets that belong to none of them. */
  readonly judged: { readonly packets: number; readonly connections: number; readonly unattributed: number };
  readonly marks: readonly Mark[];
  readonly seconds: number;
  /** Where the captures lie, one pcap file a capture point; only after a failure. */
  readonly pcaps?: string;
}

/** Judges a recording by what the scenario said. */
export function reach(lab: Lab, recording: Recording, marks: readonly Mark[], expectations: Expectations): Verdict {
  const { begin, end, points, dropped, traffic } = recording;
  const { findings, connections, judged, unattributed } = judge(lab, recording, expectations);
  const names = points.map((point) => point.name);
  const lost = dropped.flatMap((count, i) => (count > 0 ? [`the capture at ${names[i]} lost ${count} packets`] : []));
  const failures = [...lost, ...blindSpots(traffic, connections, begin), ...findings.sentences(begin, names, marks)];
  const all = connections.all();
  const pcaps = recording.close(failures.length > 0);
  return {
    failures,
    brokenOutsideChanges: brokenOutsideChanges(recording, marks, expectations),
    attempts: countAttempts(traffic.attempts),
    pods: podReports(traffic, all, begin),
    judged: { packets: judged, connections: all.filter(({ seen }) => seen.size > 0).length, unattributed },
    marks,
    seconds: end - begin,
    ...(pcaps === undefined ? {} : { pcaps }),
  };
}
