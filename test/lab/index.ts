/** The lab as a library: what scenarios, the demo and benchmarks use. */
export { type ServiceName, services } from "./address-plan";
export { setBackends } from "./backends";
export { type Capture, captureHosts, startCapture } from "./capture";
export { labDown } from "./down";
export { labDump } from "./dump";
export { enter, exec, execOk } from "./exec";
export { netCounter } from "./net-counter";
export { type CniProfile, cniProfiles, type LabOptions, type MasqProfile, masqProfiles } from "./options";
export {
  type CallError,
  type CallOptions,
  type CallResult,
  type Proto,
  podCall,
  podSendRaw,
  type Target,
} from "./pod-call";
export { type Held, podHold, podSend, podTalk, type Stream, type StreamOptions, type StreamResult } from "./pod-stream";
export { requirements } from "./requirements";
export { labDrift, labReset } from "./reset";
export type { RunOptions, RunResult } from "./run";
export type { Lab, LabHost, LabNode, LabOutside, LabPod, Ssh } from "./topology";
export { labStatus, labUp } from "./up";
