import { hex } from "../../../provider/model/mark";
import { changed, extra, missing, type Tampers } from "./tamper";

const DEVICE = "egw.vxlan";
const OTHER_MAC = "66:26:00:00:ff:fe";

export const neighbour: Tampers<"neighbour"> = (object, owner, scene) => {
  const where = `${object.address} dev ${DEVICE}`;
  const other = { ...object, address: "100.126.255.2" };
  return [
    { how: "missing", what: where, script: `ip neigh del ${where}`, told: [missing(object, owner)] },
    {
      how: "changed",
      what: where,
      script: `ip neigh replace ${where} lladdr ${OTHER_MAC} nud permanent`,
      told: [changed(object, { ...object, mac: OTHER_MAC }, owner)],
    },
    {
      how: "extra",
      what: where,
      script: `ip neigh add ${other.address} dev ${DEVICE} lladdr ${object.mac} nud permanent`,
      told: [extra(other, scene.nodeOwner)],
    },
  ];
};

export const route: Tampers<"route"> = (object, owner, scene) => {
  const { leg, table } = object;
  const other = { kind: "route" as const, table, other: "203.0.113.0/24 via 192.168.0.1 dev eth0" };
  const stray = {
    how: "extra" as const,
    what: `table ${table}`,
    script: `ip route add ${other.other} table ${table} proto 38`,
    told: [extra(other, scene.nodeOwner)],
  };
  const foreign = {
    ...stray,
    what: `table ${table} by others`,
    script: `ip route add ${other.other} table ${table}`,
    told: [extra({ ...other, isForeign: true }, scene.nodeOwner)],
  };
  if (!leg) {
    const what = `unreachable default table ${table}`;
    return [{ how: "missing", what, script: `ip route del ${what}`, told: [missing(object, owner)] }, stray, foreign];
  }
  const what = `default table ${table}`;
  const uplink = "default via 192.168.0.1 dev eth0";
  const replace = `ip route replace default via ${leg.via} dev ${leg.device} onlink table ${table} proto 38 encap ip id ${leg.vni}`;
  return [
    { how: "missing", what, script: `ip route del unicast default table ${table}`, told: [missing(object, owner)] },
    {
      how: "changed",
      what,
      script: `${replace} dst 192.168.0.99`,
      told: [changed(object, { ...object, leg: { ...leg, underlay: "192.168.0.99" } }, owner)],
    },
    {
      how: "changed",
      what: `${what} by others`,
      script: `ip route replace ${uplink} table ${table}`,
      told: [changed(object, { kind: "route", table, other: uplink, isForeign: true }, owner)],
    },
  ];
};

export const ipRule: Tampers<"ip-rule"> = (object, owner, scene) => {
  const mark = `fwmark ${hex(object.mark)}/${hex(object.mask)}`;
  const rule = (verb: string, pref: number, table: number | string) =>
    `ip rule ${verb} pref ${pref} ${mark} table ${table} protocol 38`;
  const is = `pref ${object.preference} ${mark} table ${object.table} protocol 38`;
  const stranger = { ...object, mark: 0x26000100 };
  return [
    { how: "missing", what: mark, script: `ip rule del ${is}`, told: [missing(object, owner)] },
    {
      how: "changed",
      what: mark,
      script: `ip rule del ${is}; ${rule("add", object.preference, 254)}`,
      told: [changed(object, { ...object, table: 254 }, owner)],
    },
    {
      how: "extra",
      what: mark,
      script: rule("add", object.preference - 1, 254),
      told: [extra({ ...object, preference: object.preference - 1, table: 254 }, owner)],
    },
    {
      how: "extra",
      what: mark,
      script: `ip rule add pref ${object.preference} fwmark ${hex(stranger.mark)}/${hex(object.mask)} table ${object.table} protocol 38`,
      told: [extra(stranger, scene.nodeOwner)],
    },
  ];
};
