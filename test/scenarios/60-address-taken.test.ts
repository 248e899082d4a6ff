import { execOk, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";

scenario(
  "an egress IP that another host answers for is refused with its MAC, a node's own address in preview",
  {},
  async (scene) => {
    const { lab, stack, change } = scene;
    const program = (ip: string) => [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [ip], { placement: { [ip]: "gateway-1" } }),
      policyOf("policy", "gateway", addressesOf(lab, [POD])),
    ];
    await expect(stack.preview(program("192.168.0.101"))).rejects.toThrow(
      'gateway: egressIPs[0]: "192.168.0.101" is the own address of node "gateway-1".',
    );
    const second = (verb: string, host: string) =>
      execOk(lab, host, ["ip", "addr", verb, `${EGRESS}/32`, "dev", "eth0"]);
    await second("add", "gateway-1");
    await expect(stack.preview(program(EGRESS))).rejects.toThrow(
      `gateway: egressIPs: ${EGRESS}/32 is already an address of node gateway-1 (eth0).`,
    );
    await second("del", "gateway-1");

    await second("add", "operator");
    try {
      const mac = /link\/ether (\S+)/.exec(await execOk(lab, "operator", ["ip", "-o", "link", "show", "eth0"]))?.[1];
      const taken = `node gateway-1: arping failed: address ${EGRESS} is already used by ${mac}\\. Nothing was changed\\.`;
      await expect(stack.up(program(EGRESS))).rejects.toThrow(new RegExp(taken, "i"));
    } finally {
      await second("del", "operator");
    }
    await change([POD], () => stack.up(program(EGRESS)), { to: [EGRESS] });
    expect((await podCall(lab, POD, lab.outside[0]?.address ?? "")).source).toBe(EGRESS);
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);
