import { createHash } from "node:crypto";
import { plan, type ServiceName, services } from "./address-plan";

/** Which pods stand behind each service: addresses of pods. */
export type Backends = Readonly<Record<ServiceName, readonly string[]>>;

/**
 * kube-proxy's nat rules, in the form in which iptables-save prints them.
 * The marks 0x4000 (masquerade) and 0x8000 (drop) are its own.
 */
export function kubeProxyNat(backends: Backends): string[] {
  return [
    ":KUBE-KUBELET-CANARY - [0:0]",
    ":KUBE-PROXY-CANARY - [0:0]",
    ":KUBE-MARK-DROP - [0:0]",
    ":KUBE-MARK-MASQ - [0:0]",
    ":KUBE-NODEPORTS - [0:0]",
    ":KUBE-POSTROUTING - [0:0]",
    ":KUBE-SERVICES - [0:0]",
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    "-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000",
    "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
    "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
    "-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0",
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ...serviceRules(backends),
  ];
}

/** The service chains alone; each is emptied and filled again when these lines are restored. */
function serviceRules(backends: Backends): string[] {
  const names = Object.keys(services) as ServiceName[];
  return [
    ...names.flatMap((name) => serviceChains(name, backends[name])),
    ...names.flatMap(portals),
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain"' +
      " -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS",
  ];
}

/** A restore text (--noflush) that gives the services other backends and touches nothing else. */
export function backendsRestore(backends: Backends): string {
  return ["*nat", ":KUBE-SERVICES - [0:0]", ...serviceRules(backends), "COMMIT", ""].join("\n");
}

function portals(key: ServiceName): string[] {
  const service = services[key];
  const head = (address: string, kind: string): string =>
    `-A KUBE-SERVICES -d ${address}/32 -p ${service.protocol} -m comment --comment "${service.name} ${kind}" -m ${service.protocol} --dport ${service.port}`;
  const cluster = `${head(service.clusterIP, "cluster IP")} -j ${chain("SVC", service)}`;
  return "loadBalancerIP" in service
    ? [cluster, `${head(service.loadBalancerIP, "loadbalancer IP")} -j ${chain("EXT", service)}`]
    : [cluster];
}

function serviceChains(key: ServiceName, pods: readonly string[]): string[] {
  const service = services[key];
  const svc = chain("SVC", service);
  const ext = chain("EXT", service);
  const endpoint = (pod: string): string => chain("SEP", service, pod);
  const comment = (text: string): string => `-m comment --comment "${text}"`;
  return [
    `:${svc} - [0:0]`,
    `:${ext} - [0:0]`,
    ...pods.map((pod) => `:${endpoint(pod)} - [0:0]`),
    `-A ${svc} ! -s ${plan.podCIDR} -d ${service.clusterIP}/32 -p ${service.protocol} ${comment(`${service.name} cluster IP`)} -m ${service.protocol} --dport ${service.port} -j KUBE-MARK-MASQ`,
    ...pods.map((pod, i) => {
      const share = pods.length - i;
      const chance = share > 1 ? ` -m statistic --mode random --probability ${(1 / share).toFixed(11)}` : "";
      return `-A ${svc} ${comment(`${service.name} -> ${pod}:${service.podPort}`)}${chance} -j ${endpoint(pod)}`;
    }),
    ...pods.flatMap((pod) => [
      `-A ${endpoint(pod)} -s ${pod}/32 ${comment(service.name)} -j KUBE-MARK-MASQ`,
      `-A ${endpoint(pod)} -p ${service.protocol} ${comment(service.name)} -m ${service.protocol} -j DNAT --to-destination ${pod}:${service.podPort}`,
    ]),
    `-A ${ext} ${comment(`masquerade traffic for ${service.name} external destinations`)} -j KUBE-MARK-MASQ`,
    `-A ${ext} -j ${svc}`,
  ];
}

/** kube-proxy names chains after a hash in base 32. */
function chain(kind: "SVC" | "SEP" | "EXT", service: (typeof services)[ServiceName], pod = ""): string {
  const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  const digest = createHash("sha256").update(`${service.name}${pod}${service.protocol}`).digest();
  const name = [...digest.subarray(0, 16)].map((byte) => letters[byte % 32]).join("");
  return `KUBE-${kind}-${name}`;
}

/**
 * kube-proxy's filter rules. The one that drops INVALID in FORWARD is left out, as with its option
 * conntrack.tcpBeLiberal: with it a node would hide that stray packets leave.
 */
export const kubeProxyFilter: readonly string[] = [
  ":KUBE-EXTERNAL-SERVICES - [0:0]",
  ":KUBE-FIREWALL - [0:0]",
  ":KUBE-FORWARD - [0:0]",
  ":KUBE-KUBELET-CANARY - [0:0]",
  ":KUBE-NODEPORTS - [0:0]",
  ":KUBE-PROXY-CANARY - [0:0]",
  ":KUBE-PROXY-FIREWALL - [0:0]",
  ":KUBE-SERVICES - [0:0]",
  ...["INPUT", "FORWARD", "OUTPUT"].map(
    (hook) =>
      `-A ${hook} -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL`,
  ),
  '-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
  '-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
  "-A INPUT -j KUBE-FIREWALL",
  '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  '-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  '-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES',
  '-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  "-A OUTPUT -j KUBE-FIREWALL",
  '-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
  '-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked packets" -m mark --mark 0x8000/0x8000 -j DROP',
  '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
  '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
];
