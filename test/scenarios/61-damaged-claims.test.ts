import { execOk } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";
const POD = "pod-client-1-1";
const MISSING = "missing  manifest entry of this resource";

/** What somebody does to the claims of a node, whose files are $NODE, $GATEWAY and $POLICY, and what a preview says then. */
const DAMAGES: readonly [string, Readonly<Record<string, readonly unknown[]>>][] = [
  ["truncate -s 40 $POLICY", { "client-1": [/^changed {2}file claims\/policy-/], policy: [MISSING] }],
  ["echo '{}' >$POLICY", { "client-1": [/^changed {2}file claims\/policy-/], policy: [MISSING] }],
  [`echo '{"kind":"policy","owner":{"id":"x"}}' >$POLICY`, { "client-1": [/^changed/], policy: [MISSING] }],
  ["echo null >$GATEWAY", { "client-1": [/^changed {2}file claims\/gateway-/], gateway: [MISSING] }],
  [": >$NODE", { "client-1": [MISSING] }],
  ["cp $POLICY zz.json", { "client-1": ["extra    file claims/zz.json"] }],
  ["mv $POLICY policy-zz.json", { "client-1": ["changed  file claims/policy-zz.json"], policy: [MISSING] }],
  ["truncate -s -1 $POLICY; truncate -s -1 $NODE", {}],
];

scenario(
  "claim files that somebody damaged are named, and put back",
  { engine: "mini", senders: [POD], unbroken: true, intervalMs: 50, timeoutMs: 300_000 },
  async ({ lab, stack, oracle, change }) => {
    const program = [
      ...fleetOf(lab),
      gatewayOf(lab, "gateway", [EGRESS]),
      policyOf("policy", "gateway", addressesOf(lab, [POD])),
    ];
    const damage = (how: string) =>
      execOk(lab, "client-1", [
        "sh",
        "-ec",
        `cd /var/lib/pulumi-egress/claims; NODE=$(echo node-*) GATEWAY=$(echo gateway-*) POLICY=$(echo policy-*); ${how}`,
      ]);
    const drift = async () =>
      Object.fromEntries(
        (await stack.preview(program))
          .filter(({ change: what }) => what !== "same")
          .map(({ name, drift: found }) => [name, found?.["client-1"] ?? []]),
      );
    await change([POD], () => stack.up(program), { to: [EGRESS] });
    for (const [how, names] of DAMAGES) {
      oracle.note(how);
      await damage(how);
      const found = await drift();
      for (const [name, lines] of Object.entries(names))
        for (const line of lines)
          expect({ how, name, lines: found[name] }).toEqual({
            how,
            name,
            lines: expect.arrayContaining([line instanceof RegExp ? expect.stringMatching(line) : line]),
          });
      if (Object.keys(names).length === 0) expect({ how, found }).toEqual({ how, found: {} });
      await change([POD], () => stack.up(program), { to: [EGRESS] });
      expect({ how, found: await drift() }).toEqual({ how, found: {} });
    }
    await damage("echo '{}' >$POLICY; echo '{' >$GATEWAY");
    await change([POD], () => stack.destroy(), { established: "cut" });
  },
);
