import { allMissing, changed, extra, missing, type Scene, type Tampers, those } from "./tamper";

/** A set can't go while rules name it, so they go first. */
function rulesNaming(scene: Scene, set: string) {
  return those(scene, "chain-rule", ({ rule }) => rule.includes(`--match-set ${set} `));
}

export const ipset: Tampers<"ipset"> = (object, owner, scene) => {
  const { name, type, timeout } = object;
  const rules = rulesNaming(scene, name);
  const members = those(scene, "ipset-member", ({ set }) => set === name);
  const remove = rules.map(({ object: { table, chain, rule } }) => `iptables -t ${table} -D ${chain} ${rule}`);
  const inOrder = [...rules].sort((a, b) => a.object.position - b.object.position);
  const gone = [...allMissing(rules), ...allMissing(members)];
  const other = timeout > 0 ? 60 : 3600;
  const usual = timeout > 0 ? " counters comment" : "";
  /** Under the rules that go on naming it, members and all. */
  const swapped = (words: string) =>
    [
      `ipset create other ${type} ${words}`,
      ...members.map(({ object: o }) => `ipset add other ${o.element}${o.nomatch ? " nomatch" : ""}`),
      `ipset swap other ${name}; ipset destroy other`,
    ].join("\n");
  return [
    {
      how: "missing",
      what: name,
      script: [...remove, `ipset destroy ${name}`].join("\n"),
      told: [missing(object, owner), ...gone],
    },
    {
      how: "changed",
      what: name,
      script: swapped(`maxelem 1048576 timeout ${other} counters comment`),
      // A set with a timeout is dynamic: its members are nobody's drift.
      told: [changed(object, { ...object, timeout: other }, owner), ...(timeout > 0 ? [] : allMissing(members))],
    },
    ...(type === "hash:net"
      ? [
          {
            how: "changed" as const,
            what: `${name} type`,
            script: [
              ...remove,
              `ipset destroy ${name}; ipset create ${name} hash:ip maxelem 1048576`,
              ...inOrder.map(({ object: o }) => `iptables -t ${o.table} -I ${o.chain} ${o.position + 1} ${o.rule}`),
            ].join("\n"),
            told: [changed(object, { ...object, type: "hash:ip" as typeof type }, owner), ...allMissing(members)],
            counts: rules.map(({ object: { table, chain } }) => `${table} ${chain}`),
          },
        ]
      : []),
    {
      how: "changed",
      what: `${name} size`,
      script: swapped(`maxelem 70000${timeout > 0 ? ` timeout ${timeout}` : ""}${usual}`),
      told: [changed(object, { ...object, maxElements: 70000 }, owner)],
    },
    timeout > 0
      ? {
          how: "changed",
          what: `${name} comment`,
          script: swapped(`maxelem 1048576 timeout ${timeout} counters`),
          told: [changed(object, { ...object, extras: ["counters"] }, owner)],
        }
      : {
          how: "changed",
          what: `${name} expiry`,
          script: swapped("maxelem 1048576 timeout 0"),
          told: [changed(object, { ...object, extras: ["timeout 0"] }, owner)],
        },
    {
      how: "extra",
      what: name,
      script: "ipset create egw-stranger hash:net maxelem 1048576",
      told: [extra({ ...object, name: "egw-stranger", type: "hash:net", timeout: 0 }, scene.nodeOwner)],
    },
  ];
};

export const ipsetMember: Tampers<"ipset-member"> = (object, owner, scene) => {
  const { set, element, nomatch } = object;
  const word = (no: boolean) => (no ? " nomatch" : "");
  const setOwner = those(scene, "ipset", ({ name }) => name === set)[0]?.owner ?? "";
  // An outside host: where it is ignored or excepted by hand, selected pods must not leave by their node.
  const stranger = { ...object, element: "203.0.113.10", nomatch: /^egw-g?d-/.test(set) };
  return [
    {
      how: "missing",
      what: `${set} ${element}`,
      script: `ipset del ${set} ${element}`,
      told: [missing(object, owner)],
    },
    {
      how: "changed",
      what: `${set} ${element}`,
      script: `ipset del ${set} ${element}; ipset add ${set} ${element}${word(!nomatch)}`,
      told: [changed(object, { ...object, nomatch: !nomatch }, owner)],
    },
    {
      how: "extra",
      what: set,
      script: `ipset add ${set} ${stranger.element}${word(stranger.nomatch)}`,
      told: [extra(stranger, setOwner)],
    },
  ];
};
