import { execOk, type Lab, labDump } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { breakCall, mendCalls } from "./failing-tools";
import { addressesOf, type Scene, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";
/** The registry is on another node. */
const NODE = "client-1";
const STATE = "/var/lib/pulumi-egress";

const sh = (lab: Lab, script: string): Promise<string> => execOk(lab, NODE, ["sh", "-ec", script]);
const fill = (folder: string): string => `cat /dev/zero >${folder}/ballast 2>/dev/null || true`;

/** What an up has to say, and that nothing of the node is other than before. */
async function expectRefused({ lab, stack }: Scene, program: Parameters<typeof stack.up>[0]): Promise<void> {
  const before = await labDump(lab, NODE);
  await expect(stack.up(program)).rejects.toThrow(
    `node ${NODE}: no space left on ${STATE}; nothing was changed. Make room there, then run again.`,
  );
  expect(await labDump(lab, NODE)).toBe(before);
}

function programsOf(lab: Lab) {
  const fleet = fleetOf(lab);
  const gateway = gatewayOf(lab, "gateway", [EGRESS]);
  const policy = policyOf("policy", "gateway", addressesOf(lab, [POD]), { egressIP: EGRESS });
  return { fleet, program: [...fleet, gateway, policy] };
}

scenario("a full disk is told before anything is changed; with room up goes on", {}, async (scene) => {
  const { lab, stack, change } = scene;
  const { fleet, program } = programsOf(lab);
  try {
    await sh(lab, `mkdir ${STATE}; mount -n -t tmpfs -o size=2m tmpfs ${STATE}; ${fill(STATE)}`);
    await expectRefused(scene, fleet);
    await sh(lab, `rm ${STATE}/ballast`);
    await stack.up(fleet);
    // Room for the documents, but not for what is written when the steps are done.
    await sh(lab, `${fill(STATE)}; truncate -s -200k ${STATE}/ballast`);
    await expectRefused(scene, program);
    await sh(lab, `rm ${STATE}/ballast`);

    // Temporary files of others take nothing from us.
    await sh(lab, `mount -n -t tmpfs -o size=4k tmpfs /tmp; ${fill("/tmp")}`);
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    expect((await stack.preview(program)).filter(({ change: what }) => what !== "same")).toEqual([]);
    await change([POD], () => stack.destroy(), { established: "cut" });
  } finally {
    await sh(lab, `umount -n /tmp || true; umount -n ${STATE}; rmdir ${STATE}`);
  }
});

/** A `head` that fills the disk as soon as a batch has its reserve, as another process may. */
const FILLING = `#!/bin/sh
/usr/bin/head "$@" || exit 1
case "$*" in *" /dev/zero") ${fill(STATE)} ;; esac
`;

scenario("a disk that others fill while a batch runs", { engine: "mini" }, async (scene) => {
  const { lab, stack, change } = scene;
  const { fleet, program } = programsOf(lab);
  const HEAD = "/usr/local/sbin/head";
  try {
    await sh(lab, `mkdir ${STATE}; mount -n -t tmpfs -o size=3m tmpfs ${STATE}`);
    await stack.up(fleet);
    await execOk(lab, NODE, ["sh", "-ec", `cat >${HEAD}; chmod +x ${HEAD}`], { input: FILLING });
    // A step that fails is undone whole. Of two resources each would be tried again alone, on a disk that is full by then.
    const before = await labDump(lab, NODE);
    await breakCall(lab, NODE, 2);
    await expect(stack.up(program.slice(0, -1))).rejects.toThrow("Nothing was changed.");
    await mendCalls(lab, NODE);
    expect(await labDump(lab, NODE)).toBe(before);
    await sh(lab, `rm ${STATE}/ballast`);
    await stack.up(program.slice(0, -1));
    await sh(lab, `rm ${STATE}/ballast`);
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    await sh(lab, `rm ${HEAD} ${STATE}/ballast`);
    expect((await stack.preview(program)).filter(({ change: what }) => what !== "same")).toEqual([]);
    await change([POD], () => stack.destroy(), { established: "cut" });
  } finally {
    await mendCalls(lab, NODE);
    await sh(lab, `rm -f ${HEAD}; umount -n ${STATE}; rmdir ${STATE}`);
  }
});
