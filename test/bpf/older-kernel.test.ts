import { EGRESS, Fleet, type Way } from "../machine/fleet";
import { absence } from "../machine/machine";
import { broken, captured, talk } from "../machine/traffic";
import { testUnless } from "../setup/skip";
import { RECORDED } from "./path";

interface Release {
  readonly name: string;
  readonly kernel: string;
  /** Whether its kernel lets programs encapsulate on their own (5.13). */
  readonly isOwn: boolean;
  /** What a preview finds right after an `up`, of the tunnel's device. */
  readonly left: readonly unknown[];
}

// Its iproute2 does not show the port of a vxlan device that is `external`.
const UNSEEN_PORT = expect.stringMatching(
  /^changed {2}link egw\.vxlan .* is {2}link egw\.vxlan vxlan external dstport 0 /,
);
const RELEASES: readonly Release[] = [
  { name: "bullseye", kernel: "5.10", isOwn: false, left: [UNSEEN_PORT, UNSEEN_PORT] },
  { name: "bookworm", kernel: "6.1", isOwn: true, left: [] },
];

const WHOLE = {
  pings: 3,
  call: {
    tcp: EGRESS,
    whole: true,
    udp: [1, 2, 3].map(() => [EGRESS, expect.any(Number)]),
    closed: "ConnectionRefusedError",
  },
};
const MINUTE = 60_000;

describe.each(RELEASES)("Debian $name with its tools, Linux $kernel, emulated", ({ name, kernel, isOwn, left }) => {
  const reason = process.env.EGW_FULL === "1" ? absence(name) : "only in npm run test:full";
  let fleet: Fleet;
  let isFailed = false;
  const stage = (title: string, body: () => Promise<void>) =>
    testUnless(reason ?? false)(
      title,
      async () => {
        try {
          await body();
        } catch (error) {
          isFailed = true;
          throw error;
        }
      },
      10 * MINUTE,
    );

  beforeAll(async () => {
    if (reason === undefined) fleet = await Fleet.start(name);
  }, 10 * MINUTE);
  afterAll(() => {
    if (isFailed) console.error(`What the kernel said: ${fleet.machine.log}`);
    fleet?.machine.stop(isFailed);
  });

  stage("the provider's scripts load and attach all programs, and nothing is left to do", async () => {
    const versions = await fleet.machine.must("uname -r; tc -V; bpftool version | head -1; iptables -V");
    console.info(versions.trim().replaceAll("\n", ", "));
    expect(versions).toMatch(new RegExp(`^${kernel.replace(".", "\\.")}\\.`));
    expect(await fleet.up()).toEqual(left);
    expect(await fleet.programs("client-1")).toEqual({
      filters: expect.arrayContaining([
        "eth0 ingress egw-uplink_client",
        "veth1 ingress egw-from_pod",
        "egw.vxlan ingress egw-from_gateway",
        "egw.vxlan egress egw-to_tunnel",
      ]),
      jited: 4,
    });
    expect(await fleet.programs("gateway-1")).toEqual({
      filters: expect.arrayContaining([
        "eth0 ingress egw-uplink_gateway",
        "eth0 ingress egw-from_outside",
        "eth0 egress egw-to_outside",
        "egw.vxlan ingress egw-from_client",
      ]),
      jited: 4,
    });
  });

  /** How often programs have put a packet into the tunnel on their own, by its device, to the outside and to the pod, so far. */
  const carried = async () => {
    const [client, gateway] = [await fleet.counters("client-1"), await fleet.counters("gateway-1")];
    const of = (counters: Map<string, number>, ...names: string[]) =>
      names.reduce((sum, one) => sum + (counters.get(one) ?? 0), 0);
    return {
      own: of(client, "from-pod to-tunnel") + of(gateway, "from-outside to-tunnel"),
      device: of(client, "from-pod to-tunnel-device") + of(gateway, "from-outside to-tunnel-device"),
      outside: of(gateway, "uplink-gateway to-outside", "from-client to-outside"),
      pod: of(client, "uplink-client to-pod", "from-gateway to-pod"),
      dropped: [...client, ...gateway].filter(([what, count]) => / drop-/.test(what) && count > 0),
    };
  };

  describe.each<Way>(["own", "device"])("by the %s way of encapsulation", (way) => {
    const port = way === "own" ? 4500 : 4600;

    stage("real packets go through both programs with right checksums", async () => {
      // What the tunnel's device puts together has its checksum made by the last device only, if by any.
      for (const node of ["client-1", "gateway-1"] as const) await fleet.on(node, "ethtool -K egw.vxlan gro off >&2");
      if (way === "device") await fleet.reload(way);
      const before = await carried();
      const { said, sums } = await captured(fleet, () => talk(fleet, port));
      const after = await carried();
      expect(said).toEqual({ ...WHOLE, ports: [port, port, port] });
      for (const [host, { right, wrong }] of sums) {
        expect([host, wrong]).toEqual([host, []]);
        expect(right).toBeGreaterThan(1000);
      }
      expect(await broken(fleet)).toEqual([]);
      const seen = (["own", "device", "outside", "pod"] as const).map((what) => after[what] - before[what]);
      console.info(`${kernel} ${way}: own ${seen[0]}, device ${seen[1]}, to outside ${seen[2]}, to pod ${seen[3]}`);
      expect(seen.map((count) => count > 1000)).toEqual([
        isOwn && way === "own",
        !isOwn || way === "device",
        true,
        true,
      ]);
      expect(after.dropped).toEqual([]);
    });
  });

  stage("what has IP options is carried too, and what routers and hosts record comes back", async () => {
    await fleet.reload("own");
    const left = async () => {
      const of = new Map([...(await fleet.counters("client-1")), ...(await fleet.counters("gateway-1"))]);
      return ["from-pod", "from-client", "from-outside"].map((hook) => of.get(`${hook} stack-options`) ?? 0);
    };
    expect(JSON.parse(await fleet.on("pod", "EGW_PATIENCE=30 python3 /talk.py options"))).toEqual({
      first: [EGRESS, true],
      later: [EGRESS, true],
      udp: [EGRESS, EGRESS, EGRESS],
    });
    for (const ask of ["-R", "-T tsandaddr"])
      expect(await fleet.on("pod", `ping -n -c 5 -i 0.5 -W 10 ${ask} ${RECORDED}`)).toMatch(/ 5 received/);
    expect(await left()).toEqual([0, 0, 0]);
  });

  stage("aggregates and checksums that are left to devices come whole too, by both ways", async () => {
    for (const node of ["client-1", "gateway-1"] as const) await fleet.on(node, "ethtool -K egw.vxlan gro on >&2");
    for (const host of ["pod", "outside"] as const) await fleet.on(host, "ethtool -K eth0 tx on tso on gso on >&2");
    await fleet.on("client-1", "ethtool -K veth1 tx off >&2");
    await fleet.on("gateway-1", "ethtool -K eth0 tx off >&2");
    for (const way of ["device", "own"] as const) {
      await fleet.reload(way);
      expect(await talk(fleet, 4700)).toMatchObject(WHOLE);
    }
    expect(await broken(fleet)).toEqual([]);
  });

  stage("they go without a trace, and the kernel complains of nothing", async () => {
    expect(await fleet.down()).toEqual(left);
    expect(fleet.machine.kernelLog()).not.toMatch(/WARNING:|BUG:|Oops|general protection|bad checksum|hw csum failure/);
  });
});
