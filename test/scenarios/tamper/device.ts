import { programsOn } from "./programs";
import { allMissing, changed, extra, missing, type Scene, type Tampers, those } from "./tamper";

const DEVICE = "egw.vxlan";
const OTHER_MAC = "66:26:00:00:ff:fe";

/** What goes with the device: down, it keeps its addresses and settings. */
const neighbours = (scene: Scene) => allMissing(those(scene, "neighbour"));
const legs = (scene: Scene) => allMissing(those(scene, "route", ({ leg }) => leg !== undefined));
const settled = (scene: Scene) =>
  allMissing([...those(scene, "sysctl"), ...those(scene, "address", ({ device }) => device === DEVICE)]);

export const link: Tampers<"link"> = (object, owner, scene) => {
  const what = object.name;
  const change = (difference: Partial<typeof object>) => changed(object, { ...object, ...difference }, owner);
  const remake = `ip link del ${what}; ip link add ${what} address ${object.mac} mtu ${object.mtu} type vxlan external dstport 4799; ip link set ${what} up`;
  return [
    {
      how: "missing",
      what,
      script: `ip link del ${what}`,
      told: [
        missing(object, owner),
        ...settled(scene),
        ...neighbours(scene),
        ...legs(scene),
        ...programsOn(scene, DEVICE),
      ],
    },
    { how: "changed", what: `${what} mtu`, script: `ip link set ${what} mtu 1400`, told: [change({ mtu: 1400 })] },
    {
      how: "changed",
      what: `${what} address`,
      script: `ip link set ${what} address ${OTHER_MAC}`,
      told: [change({ mac: OTHER_MAC }), ...neighbours(scene)],
    },
    {
      how: "changed",
      what: `${what} down`,
      script: `ip link set ${what} down`,
      told: [change({ up: false }), ...neighbours(scene), ...legs(scene)],
    },
    {
      how: "changed",
      what: `${what} master`,
      script: `ip link add other type bridge; ip link set other up; ip link set ${what} master other`,
      told: [change({ master: "other" })],
      afterwards: "ip link del other",
    },
    {
      how: "changed",
      what: `${what} port`,
      script: `${remake}; echo 2 >/proc/sys/net/ipv4/conf/${what}/rp_filter`,
      told: [
        change({ port: 4799 }),
        ...allMissing(those(scene, "address", ({ device }) => device === DEVICE)),
        ...neighbours(scene),
        ...legs(scene),
        ...programsOn(scene, DEVICE),
      ],
    },
  ];
};

export const sysctl: Tampers<"sysctl"> = (object, owner) => {
  const value = object.value === "1" ? "0" : "1";
  return [
    {
      how: "changed",
      what: object.name,
      script: `echo ${value} >/proc/sys/${object.name}`,
      told: [changed(object, { ...object, value }, owner)],
    },
  ];
};

export const address: Tampers<"address"> = (object, owner, scene) => {
  const where = (ip: string) => `${ip}/32 dev ${object.device}`;
  const label = object.label === "" ? "" : ` label ${object.label}`;
  const other = { ...object, address: object.device === DEVICE ? "100.126.255.1" : "192.168.0.249" };
  const inNetwork = `${object.address}/24 dev ${object.device}`;
  // With its last address a device loses all that IPv4 has on it (kernel: inetdev_destroy).
  const along = label === "" ? [...neighbours(scene), ...legs(scene)] : [];
  return [
    {
      how: "missing",
      what: where(object.address),
      script: `ip addr del ${where(object.address)}`,
      told: [missing(object, owner), ...along],
    },
    {
      how: "extra",
      what: where(object.address),
      script: `ip addr add ${where(other.address)}${label}`,
      told: [extra(other, scene.nodeOwner)],
    },
    ...(label === ""
      ? []
      : [
          {
            how: "changed" as const,
            what: where(object.address),
            script: `ip addr del ${where(object.address)}; ip addr add ${where(object.address)}`,
            told: [changed(object, { ...object, label: "" }, owner)],
          },
          {
            how: "changed" as const,
            what: `${where(object.address)} scope`,
            script: `ip addr del ${where(object.address)}; ip addr add ${where(object.address)} scope link${label}`,
            told: [changed(object, { ...object, scope: "link" }, owner)],
          },
        ]),
    {
      how: "changed",
      what: `${where(object.address)} length`,
      script: `ip addr add ${inNetwork}${label}; ip addr del ${where(object.address)}`,
      told: [changed(object, { ...object, network: "/24" }, owner)],
    },
    {
      how: "extra",
      what: `${where(object.address)} of another length`,
      script: `ip addr add ${inNetwork}${label}`,
      told: [extra({ ...object, network: "/24" }, owner)],
    },
    {
      how: "changed",
      what: `${where(object.address)} lifetime`,
      script: `ip addr change ${where(object.address)}${label} valid_lft 3600 preferred_lft 0`,
      told: [changed(object, { ...object, lifetime: "valid_lft limited preferred_lft limited" }, owner)],
    },
  ];
};
