import { execOk, type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { counted } from "./programs";
import { addressesOf, type Scene, scenario } from "./scenario";
import { shown } from "./shown";

const EGRESS = "192.168.0.200";
const PODS = ["pod-client-1-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const programWith = (lab: Lab, more: Readonly<Record<string, unknown>>) => [
  ...fleetOf(lab),
  gatewayOf(lab, "gateway", [EGRESS], { placement: { [EGRESS]: "gateway-1" }, ...more }),
  policyOf("policy", "gateway", addressesOf(lab, PODS)),
];

/** Packets that came out of a node's tunnel, by its device or by a program. */
async function received(lab: Lab, node: string, way: "tunnel" | "cluster"): Promise<number> {
  const byDevice = Number(/egw\.vxlan: *\d+ +(\d+)/.exec(await execOk(lab, node, ["cat", "/proc/net/dev"]))?.[1]);
  // Where answers come by the cluster's routes, all is the stack's.
  if (process.env.EGW_DATAPATH !== "bpf" || way === "cluster") return byDevice;
  return byDevice + ((await counted(lab, node)).get("uplink-client to-pod") ?? 0);
}

/** Each pod shows the egress IP, and its answers come as they are to. */
async function answered({ lab }: Scene, way: "tunnel" | "cluster"): Promise<void> {
  const [server] = lab.outside;
  if (!server) throw new Error("a lab without outside");
  for (const pod of PODS) {
    const node = lab.pods.find(({ name }) => name === pod)?.node ?? "";
    const before = await received(lab, node, way);
    const { source, error } = await podCall(lab, pod, server.address, { proto: "udp" });
    const { bytes } = await podCall(lab, pod, server.address, { proto: "http", path: "/bytes/1000000" });
    const isTunnelled = node !== "gateway-1" && way === "tunnel";
    const isMore = (await received(lab, node, way)) > before;
    expect({ pod, source, error, bytes, ...(node === "gateway-1" ? {} : { isMore }) }).toEqual({
      pod,
      source: EGRESS,
      error: undefined,
      bytes: 1_000_000,
      ...(node === "gateway-1" ? {} : { isMore: isTunnelled }),
    });
  }
}

for (const cni of ["routes", "overlay"] as const)
  scenario(
    `answers come by the cluster's own routes and, when that changes, by the tunnel (${cni})`,
    { senders: ["pod-client-1-1"], unbroken: true, cni },
    async (scene) => {
      const { lab, stack, change } = scene;
      const settings = async () =>
        await execOk(lab, "client-1", ["sh", "-c", "grep . /proc/sys/net/ipv4/conf/*/rp_filter | grep -v egw"]);
      const before = await settings();
      const [tunnel, cluster] = [programWith(lab, { answers: "tunnel" }), programWith(lab, { answers: "cluster" })];
      await change(PODS, () => stack.up(cluster), { to: [EGRESS] });
      expect(await shown(stack, cluster)).toEqual({});
      await answered(scene, "cluster");
      // Where it is the way to the outside it is no other's source's way.
      expect(await settings()).toBe(
        cni === "overlay" ? before.replace("cni.vxlan/rp_filter:1", "cni.vxlan/rp_filter:2") : before,
      );
      await stack.up(tunnel);
      await answered(scene, "tunnel");
      expect(await settings()).toBe(before);
      await stack.up(cluster);
      await answered(scene, "cluster");
      await change(PODS, () => stack.destroy(), { established: "cut" });
      expect(await settings()).toBe(before);
    },
  );
