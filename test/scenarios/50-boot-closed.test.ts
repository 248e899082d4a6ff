import { execOk, type Lab, podCall, podSend } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { testFull } from "../setup/skip";
import { reboot, restore } from "./reboot";
import { addressesOf, scenario, usualSource } from "./scenario";

const EGRESS = "192.168.0.200";
const NODE = "client-1";
const [SELECTED, OTHER] = ["pod-client-1-1", "pod-client-1-2"];

/** What may have become of the files, and whether the node still knows whom it selects. */
const DAMAGES: readonly { readonly script: string; readonly isSelectionKnown: boolean }[] = [
  { script: ": > restore/ipset", isSelectionKnown: false },
  { script: "sed -i 3q restore/ipset", isSelectionKnown: false },
  { script: "sed -i /^add/d restore/ipset", isSelectionKnown: false },
  { script: "for f in restore/ip* restore/sums digest; do : > $f; done", isSelectionKnown: false },
  { script: "rm restore/ipset", isSelectionKnown: false },
  { script: "rm generation", isSelectionKnown: false },
  { script: ": > restore/iptables", isSelectionKnown: true },
  { script: ": > restore/ip", isSelectionKnown: true },
];

const programOf = (lab: Lab) => [
  ...fleetOf(lab),
  gatewayOf(lab, "gateway", [EGRESS]),
  policyOf("policy", "gateway", addressesOf(lab, [SELECTED])),
];

const onFiles = (lab: Lab, script: string) =>
  execOk(lab, NODE, ["sh", "-e"], { input: `cd /var/lib/pulumi-egress\n${script}` });

scenario(
  "a node that boots with damaged files stays closed, all of it where it can't know whom it selects, until up",
  // No senders: between a reboot and what the unit closes no pod has started yet.
  { engine: "mini", senders: [], timeoutMs: 600_000 },
  async ({ lab, stack, change }) => {
    const program = programOf(lab);
    const seen = async (pod: string) =>
      (await podCall(lab, pod, lab.outside[0]?.address ?? "", { timeoutMs: 400 })).source;
    const shows = async () => [await seen(SELECTED), await seen(OTHER)];
    const usual = usualSource(lab, OTHER);
    await change([SELECTED], () => stack.up(program), { to: [EGRESS] });
    const found = [];
    for (const { script } of DAMAGES) {
      await reboot(lab, NODE, EGRESS);
      await onFiles(lab, script);
      const { code } = await restore(lab, NODE);
      const booted = await shows();
      await stack.up(program);
      found.push({ script, code, booted, repaired: await shows() });
    }
    const expected = DAMAGES.map(({ script, isSelectionKnown }) => {
      const booted = [undefined, isSelectionKnown ? usual : undefined];
      return { script, code: 1, booted, repaired: [EGRESS, usual] };
    });
    expect(found).toEqual(expected);
    expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);
    await change([SELECTED], () => stack.destroy(), { established: "cut" });
  },
  testFull,
);

/** As the program itself does it first: whoever sends before that is none of its pods. */
const CLOSE = `iptables-restore --noflush <<'END'
*mangle
:EGRESSGATEWAY-BOOT - [0:0]
-A EGRESSGATEWAY-BOOT -j DROP
-I FORWARD 1 -j EGRESSGATEWAY-BOOT
COMMIT
END`;

scenario(
  "a node that boots is not opened for a moment while what it put back is compared",
  // No senders but its own, which begins when the node is closed.
  { engine: "mini", senders: [], timeoutMs: 600_000 },
  async ({ lab, stack, change }) => {
    const program = programOf(lab);
    await change([SELECTED], () => stack.up(program), { to: [EGRESS] });
    const dialled = async (): Promise<{ code: number; sources: Set<string | undefined> }> => {
      await reboot(lab, NODE, EGRESS);
      await onFiles(lab, CLOSE);
      const dials = await podSend(lab, SELECTED, lab.outside[0]?.address ?? "", { intervalMs: 5, timeoutMs: 300 });
      const { code } = await restore(lab, NODE);
      await new Promise((resolve) => setTimeout(resolve, 200));
      const results = await dials.stop();
      expect(results.length).toBeGreaterThan(40);
      return { code, sources: new Set(results.map(({ source }) => source)) };
    };
    expect(await dialled()).toEqual({ code: 0, sources: new Set([undefined, EGRESS]) });

    // Whoever wrote it: noted as it is, so that only the kernel shows that it is not what was there.
    await onFiles(lab, "sed -i 12q restore/iptables; sha256sum $(sed 's/.* //' restore/sums) > x; mv x restore/sums");
    expect(await dialled()).toEqual({ code: 1, sources: new Set([undefined]) });
    await stack.up(program);
    expect((await stack.preview(program)).filter(({ change }) => change !== "same")).toEqual([]);
    await change([SELECTED], () => stack.destroy(), { established: "cut" });
  },
  testFull,
);
