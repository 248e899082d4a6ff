import { execOk } from "../lab";
import { fleetOf, gatewayOf } from "../operator/program";
import { testFull } from "../setup/skip";
import { scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const OWN = "192.168.0.250/26";

scenario(
  "an egress IP whose length or peer somebody changed goes without the node's own addresses that came to hang on it",
  {},
  async ({ lab, stack }) => {
    const sh = (script: string) => execOk(lab, "gateway-1", ["sh", "-ec", script]);
    const program = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS], { on: ["gateway-1"] })];
    await stack.up(program);
    for (const other of [`${EGRESS}/26`, `${EGRESS} peer 192.168.0.199/26`]) {
      await sh(`echo 0 >/proc/sys/net/ipv4/conf/eth0/promote_secondaries
      ip addr del ${EGRESS}/32 dev eth0; ip addr add ${other} dev eth0 label eth0:egw; ip addr add ${OWN} dev eth0`);
      expect(await sh("ip addr show dev eth0")).toMatch(/inet 192\.168\.0\.250\/26 .*secondary/);
      await stack.up(program);
      const shown = await sh("ip addr show dev eth0");
      expect(shown).toMatch(/inet 192\.168\.0\.200\/32 .*eth0:egw/);
      expect(shown).toMatch(/inet 192\.168\.0\.250\/26 /);
      expect(await sh("cat /proc/sys/net/ipv4/conf/eth0/promote_secondaries")).toBe("0\n");
      await sh(`ip addr del ${OWN} dev eth0`);
      expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);
    }
    await stack.destroy();
  },
  testFull,
);
