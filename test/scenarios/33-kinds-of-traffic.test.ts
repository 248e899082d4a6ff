import { type Lab, podCall } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import { addressesOf, scenario, usualSource } from "./scenario";

const [FIRST, SECOND] = ["192.168.0.200", "192.168.0.201"] as const;
const KINDS = ["tcp", "udp", "http", "icmp"] as const;
/** On a client node, on the gateway node, on another gateway node: selected at first, and after the edit. */
const BEFORE = ["pod-client-1-1", "pod-gateway-1-1"];
const AFTER = ["pod-client-2-1", "pod-gateway-1-1", "pod-gateway-2-1"];
const PODS = [...new Set([...BEFORE, ...AFTER])];

/** Whom these addresses see when the pods call them, by pod, address and kind of traffic. */
async function seen(lab: Lab, addresses: readonly string[]): Promise<Record<string, string | undefined>> {
  const calls = PODS.flatMap((pod) => addresses.flatMap((to) => KINDS.map((proto) => ({ pod, to, proto }))));
  const entries = calls.map(async ({ pod, to, proto }): Promise<[string, string | undefined]> => {
    // Echo requests that were cut are refused for 30 s where they would show another source.
    const until = Date.now() + (proto === "icmp" ? 35_000 : 0);
    let answer = await podCall(lab, pod, to, { proto });
    while (answer.error === "timeout" && Date.now() < until) answer = await podCall(lab, pod, to, { proto });
    return [`${pod} to ${to} by ${proto}`, answer.error ?? answer.source];
  });
  return Object.fromEntries(await Promise.all(entries));
}

/** The same, as it is to be. */
function wanted(addresses: readonly string[], source: (pod: string, to: string) => string): Record<string, string> {
  const entries = PODS.flatMap((pod) =>
    addresses.flatMap((to) => KINDS.map((proto) => [`${pod} to ${to} by ${proto}`, source(pod, to)] as const)),
  );
  return Object.fromEntries(entries);
}

scenario("TCP, UDP, HTTP and ICMP show the same source, whatever is changed", { timeoutMs: 300_000 }, async (scene) => {
  const { lab, stack, change } = scene;
  const outside = lab.outside.map(({ address }) => address);
  const [chosen = "", excepted = ""] = outside;
  const inside = addressesOf(lab, ["pod-client-1-2", "pod-client-2-2"]);
  const ownAddress = (pod: string) => addressesOf(lab, [pod])[0] ?? "";
  const program = (
    ip: string,
    node: string,
    policies: readonly (readonly string[])[],
    except: readonly string[] = [],
  ) => [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [ip], { placement: { [ip]: node } }),
    ...policies.map((pods) => policyOf("policy", "gateway", addressesOf(lab, pods), { destinations: { except } })),
  ];
  /** Outside, the selected pods show this address but for what is excepted; inside, all show their own. */
  const check = async (what: string, ip: string, selected: readonly string[], except: readonly string[] = []) => {
    const source = (pod: string, to: string) =>
      inside.includes(to)
        ? ownAddress(pod)
        : selected.includes(pod) && !except.includes(to)
          ? ip
          : usualSource(lab, pod);
    const all = [...outside, ...inside];
    expect({ what, seen: await seen(lab, all) }).toEqual({ what, seen: wanted(all, source) });
  };

  await check("nothing is programmed", FIRST, []);
  await change(BEFORE, () => stack.up(program(FIRST, "gateway-1", [BEFORE])), { to: [FIRST] });
  await check("a policy", FIRST, BEFORE);

  const back = { targets: [excepted] };
  await change(BEFORE, () => stack.up(program(FIRST, "gateway-1", [BEFORE], [`${excepted}/32`])), back);
  await check("an exception", FIRST, BEFORE, [excepted]);

  const [gone, come] = [BEFORE.filter((pod) => !AFTER.includes(pod)), AFTER.filter((pod) => !BEFORE.includes(pod))];
  const edit = () => stack.up(program(FIRST, "gateway-1", [AFTER], [`${excepted}/32`]));
  await change(gone, () => change(come, edit, { to: [FIRST], targets: [chosen] }));
  await check("other sources", FIRST, AFTER, [excepted]);

  const move = () => stack.up(program(SECOND, "gateway-2", [AFTER], [`${excepted}/32`]));
  await change(AFTER, move, { to: [SECOND], targets: [chosen], established: "cut-paths" });
  await check("another egress IP on another node", SECOND, AFTER, [excepted]);

  await change(AFTER, () => stack.up(program(SECOND, "gateway-2", [])), { established: "cut" });
  await check("the policy deleted", SECOND, []);
  await stack.destroy();
});
