import { ENABLED, STATE_FILES, UNIT, UNIT_FILES } from "../../provider/program/files";
import { exec, execOk, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { testFull } from "../setup/skip";
import { reboot, restore } from "./reboot";
import { addressesOf, scenario } from "./scenario";
import { shown } from "./shown";
import { fileTampers } from "./tamper/files";

const EGRESS = "192.168.0.200";

scenario(
  "a node that boots has its datapath back without pulumi, and is closed if it can't",
  // No senders: pods start after the unit that puts everything back, and here nothing else stops them.
  { senders: [] },
  async ({ lab, stack, change }) => {
    const pods = ["pod-client-1-1", "pod-gateway-1-1"];
    const addresses = lab.pods.filter(({ name }) => pods.includes(name)).map(({ address }) => address);
    const program = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS]), policyOf("policy", "gateway", addresses)];
    await change(pods, () => stack.up(program), { to: [EGRESS] });
    for (const node of ["client-1", "gateway-1"]) {
      await reboot(lab, node, EGRESS);
      expect(await restore(lab, node)).toMatchObject({ code: 0 });
    }
    for (const pod of pods)
      expect(await podCall(lab, pod, lab.outside[0]?.address ?? "")).toMatchObject({ source: EGRESS });
    expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);

    await reboot(lab, "client-1", EGRESS);
    await exec(lab, "client-1", [
      "sh",
      "-c",
      "sed -i s/EGRESSGATEWAY-ADMIT/EGRESSGATEWAY-NOWHERE/ /var/lib/pulumi-egress/restore/iptables",
    ]);
    expect((await restore(lab, "client-1")).code).toBe(1);
    expect(await podCall(lab, "pod-client-1-1", lab.outside[0]?.address ?? "", { timeoutMs: 400 })).not.toHaveProperty(
      "source",
    );
    expect(await podCall(lab, "pod-client-1-2", lab.outside[0]?.address ?? "")).toMatchObject({
      source: "192.168.0.11",
    });
    await stack.up(program);
    expect(await podCall(lab, "pod-client-1-1", lab.outside[0]?.address ?? "")).toMatchObject({ source: EGRESS });
    await change(pods, () => stack.destroy());
  },
);

/** A systemd that knows no more than to enable and disable a unit. */
const SYSTEMD = `mkdir -p /run/systemd/system ${ENABLED.replace(/\/[^/]*$/, "")}
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
case $1 in enable) ln -s ${UNIT} ${ENABLED} ;; disable) rm -f ${ENABLED} ;; esac
END
chmod +x /usr/local/bin/systemctl`;

scenario(
  "what puts a node back at boot is drift of its NodeMark where it is not as the last apply left it, and put back",
  // No senders: the node boots here too, and the files are looked at, not what is sent.
  { engine: "mini", senders: [], timeoutMs: 600_000 },
  async ({ lab, stack, change }) => {
    const [pod, node] = ["pod-client-1-1", "client-1"];
    const policy = policyOf("policy", "gateway", addressesOf(lab, [pod]));
    const program = [...fleetOf(lab), gatewayOf(lab, "gateway", [EGRESS]), policy];
    const sh = (script: string) => execOk(lab, node, ["sh", "-e"], { input: script });
    await change([pod], () => stack.up(program), { to: [EGRESS] });
    await sh(SYSTEMD);
    const missing = (names: readonly string[]) => names.map((name) => `${node} missing  file ${name}`).sort();
    expect(await shown(stack, program)).toEqual({ [node]: missing(UNIT_FILES) });
    await stack.up(program);
    for (const { script, told } of fileTampers([...STATE_FILES, ...UNIT_FILES], node)) {
      await sh(script);
      const lines = told.map(({ line }) => `${node} ${line}`);
      expect({ script, shown: await shown(stack, program) }).toEqual({ script, shown: { [node]: lines } });
      await stack.up(program);
    }
    expect(await shown(stack, program)).toEqual({});

    // A masked unit is taken back too; without its folder a node has nothing to start.
    await sh(`ln -sf /dev/null ${UNIT}; rm -r /var/lib/pulumi-egress/restore`);
    const lost = missing(STATE_FILES.filter((name) => name.startsWith("restore/")));
    expect(await shown(stack, program)).toEqual({ [node]: [`${node} changed  file ${UNIT}`, ...lost] });
    await stack.up(program);
    expect(await shown(stack, program)).toEqual({});
    await reboot(lab, node, EGRESS);
    expect(await restore(lab, node)).toMatchObject({ code: 0 });
    expect(await podCall(lab, pod, lab.outside[0]?.address ?? "")).toMatchObject({ source: EGRESS });
    expect(await shown(stack, program)).toEqual({});
    await change([pod], () => stack.destroy());
    // That neither unit nor link is left is looked at from outside.
    await sh("rm -r /run/systemd /usr/local/bin/systemctl");
  },
  testFull,
);
