import { allMissing, changed, extra, missing, type Tamper, type Tampers, those } from "./tamper";

const FOREIGN = "-s 192.0.2.1/32 -j ACCEPT";

export const chain: Tampers<"chain"> = (object, owner, scene) => {
  const { table, name } = object;
  const jumps = those(scene, "chain-rule", (o) => o.table === table && new RegExp(`-[jg] ${name}$`).test(o.rule));
  const hooks = those(scene, "hook", (o) => o.table === table && o.rule.endsWith(`-j ${name}`));
  const rules = those(scene, "chain-rule", (o) => o.table === table && o.chain === name);
  const remove = [...jumps, ...hooks].map(({ object: o }) => `iptables -t ${table} -D ${o.chain} ${o.rule}`);
  const stranger = { ...object, name: "EGRESSGATEWAY-STRANGER" };
  return [
    {
      how: "missing",
      what: `${table} ${name}`,
      script: [...remove, `iptables -t ${table} -F ${name}`, `iptables -t ${table} -X ${name}`].join("\n"),
      told: [missing(object, owner), ...allMissing([...jumps, ...hooks, ...rules])],
    },
    {
      how: "extra",
      what: `${table} ${name}`,
      script: `iptables -t ${table} -N ${stranger.name}`,
      told: [extra(stranger, scene.nodeOwner)],
    },
  ];
};

export const chainRule: Tampers<"chain-rule"> = (object, owner, scene) => {
  const { table, chain: name, rule, position } = object;
  const run = (words: string) => `iptables -t ${table} ${words}`;
  const there = those(scene, "chain-rule", (o) => o.table === table && o.chain === name);
  const next = there.find(({ object: o }) => o.position === position + 1);
  const what = `${table} ${name} ${rule}`;
  const stranger = { ...object, rule: "-s 192.0.2.1/32 -j RETURN" };
  return [
    { how: "missing", what, script: run(`-D ${name} ${rule}`), told: [missing(object, owner)] },
    {
      how: "changed",
      what,
      script: run(`-R ${name} ${position + 1} ${stranger.rule}`),
      told: [missing(object, owner), extra(stranger, scene.nodeOwner)],
      counts: [`${table} ${name}`],
    },
    {
      how: "extra",
      what,
      script: run(`-I ${name} 1 -j RETURN`),
      told: [extra({ ...object, rule: "-j RETURN" }, scene.nodeOwner)],
    },
    { how: "extra", what: `${what} twice`, script: run(`-A ${name} ${rule}`), told: [extra(object, owner)] },
    ...(next
      ? [
          {
            how: "reordered" as const,
            what,
            script: [run(`-D ${name} ${position + 1}`), run(`-I ${name} ${position + 2} ${rule}`)].join("\n"),
            told: [changed(object, next.object, owner)],
            counts: [`${table} ${name}`],
          },
        ]
      : []),
  ];
};

export const hook: Tampers<"hook"> = (object, owner, scene) => {
  const { table, chain: name, rule, place } = object;
  const run = (words: string) => `iptables -t ${table} ${words}`;
  const what = `${table} ${name} ${rule}`;
  const beside = those(scene, "hook", (o) => o.table === table && o.chain === name && o.place === place);
  const foreign = beside.map(({ object: o, owner: one }) => changed(o, { ...o, foreign: [FOREIGN] }, one));
  const twice: Tamper = {
    how: "extra",
    what: `${what} twice`,
    script: run(`-I ${name} 1 ${rule}`),
    told: [extra({ ...object, rank: 0 }, owner)],
  };
  // Of packets that nobody sends, since what it skips may be a masquerading of others.
  const goto = `-s 192.0.2.1/32 ${rule.replace(/-j (\S+)$/, "-g $1")}`;
  const behind: Tamper = {
    how: "extra",
    what: `${what} as a goto`,
    script: run(`${place === "first" ? `-I ${name} ${beside.length + 1}` : `-A ${name}`} ${goto}`),
    told: [extra({ ...object, rule: goto, rank: beside.length }, scene.nodeOwner)],
  };
  return [
    { how: "missing", what, script: run(`-D ${name} ${rule}`), told: [missing(object, owner)] },
    behind,
    {
      how: "foreign",
      what,
      script: run(`${place === "first" ? `-I ${name} 1` : `-A ${name}`} ${FOREIGN}`),
      told: foreign,
      cleanup: run(`-D ${name} ${FOREIGN}`),
    },
    ...(place === "first" ? [twice] : []),
  ];
};
