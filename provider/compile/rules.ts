import type { Owned } from "../kernel/state";
import {
  CLASS_KEEP,
  CLASS_NODE,
  CLASS_NODE_IP,
  hex,
  MASK_ALL,
  MASK_CLASS,
  MASK_MARK,
  MASK_ROLE,
  markOf,
  ROLE_ANSWER,
  ROLE_BITS,
  ROLE_CLUSTER,
  tunnelMac,
} from "../model/mark";
import { acceptedSources, answerChain, answersByTunnel, passingTunnel, sourceChecks, unknownAnswers } from "./carried";
import { chainOf, hooks, type OwnedRule } from "./chain";
import { contestedBy } from "./contested";
import {
  CHAINS,
  CUT,
  CUT_OPENING,
  EGRESS_ADDRESSES,
  GUARD_IGNORE,
  IGNORE,
  PEERS,
  policyComment,
  TUNNEL,
} from "./names";
import { type NodeView, type PlacedPolicy, peersOf } from "./view";

const NODE = `${hex(CLASS_NODE)}/${hex(MASK_CLASS)}`;
const KEEP = `${hex(CLASS_KEEP)}/${hex(MASK_CLASS)}`;
const NODE_IP = `${hex(CLASS_NODE_IP)}/${hex(MASK_CLASS)}`;
const FORWARD_ROLE = `-m connmark --mark ${hex(CLASS_NODE)}/${hex(MASK_ROLE)}`;
const OTHER_ROLE = `-m connmark ! --mark ${hex(CLASS_NODE)}/${hex(MASK_ROLE)}`;
const ANSWER_ROLE = `-m connmark --mark ${hex(CLASS_NODE + ROLE_ANSWER)}/${hex(MASK_ROLE)}`;
const CLUSTER_ROLE = `-m connmark --mark ${hex(CLASS_NODE + ROLE_CLUSTER)}/${hex(MASK_ROLE)}`;
const RESTORE = `-j CONNMARK --restore-mark --nfmask ${hex(MASK_MARK)} --ctmask ${hex(MASK_MARK)}`;
const SAVE = `-j CONNMARK --save-mark --nfmask ${hex(MASK_MARK)} --ctmask ${hex(MASK_ALL)}`;
const FIRST_PACKET = "-m conntrack --ctstate NEW ! --ctstatus CONFIRMED";
const MID_FLOW = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";
/** A FIN without a connection in conntrack: what a pod goes on sending of a connection that was cut. */
const LATE_FIN = "-p tcp -m tcp --tcp-flags FIN,RST FIN";
const OPENING = "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN";
const OPENING_MATCH = `-m set --match-set ${CUT_OPENING} src,src,dst`;
const CUT_MATCH = `-m set --match-set ${CUT} src,src,dst`;
const NOT_IGNORED = `-m set --match-set ${IGNORE} dst -j RETURN`;
const NOT_GUARD_IGNORED = `-m set --match-set ${GUARD_IGNORE} dst -j RETURN`;

/**
 * All chains of a node, in the form in which iptables-save prints them, so that desired and actual compare as text.
 * Which chain does what, in the order in which a packet of a selected pod meets them: DESIGN.md, "The chains".
 */
export function rulesOf(view: NodeView): Owned[] {
  const { node, policies, facts } = view;
  const base = (rule: string): OwnedRule => ({ rule, owner: node.owner.id });
  const each = (of: readonly PlacedPolicy[], rule: (placed: PlacedPolicy) => string): OwnedRule[] =>
    of.map((placed) => ({ rule: rule(placed), owner: placed.policy.owner.id }));
  const remote = policies.filter((placed) => placed.at !== "here");
  const here = policies.filter((placed) => placed.at === "here");
  const contested = contestedBy(here, remote);
  const nodeIp = nodeIpPeers(view);
  const dropsForward = facts.dropPolicies.includes("FORWARD");
  const dropsOutput = facts.dropPolicies.includes("OUTPUT");

  return [
    ...answerChain(view),
    ...chainOf("mangle", CHAINS.markRequest, node.owner.id, [
      ...sourceChecks(view),
      base(`-i ${TUNNEL} -j ${CHAINS.peer}`),
      base(`-i ${TUNNEL} -j RETURN`),
      base(`-m conntrack --ctdir ORIGINAL ${FORWARD_ROLE} ${RESTORE}`),
      base(`-m conntrack --ctdir REPLY ${ANSWER_ROLE} ${RESTORE}`),
      ...(answersByTunnel(view) ? [base(`-m conntrack --ctdir REPLY ${CLUSTER_ROLE} ${RESTORE}`)] : []),
      // A pod's own address is the cluster's as well: the tunnel ends there, and probes come to it.
      ...(node.netns === undefined ? [] : [base(`-m set --match-set ${IGNORE} src -j RETURN`)]),
      base(`-m set --match-set ${EGRESS_ADDRESSES} dst -m conntrack --ctstate INVALID,NEW,UNTRACKED -j DROP`),
    ]),
    ...chainOf("mangle", CHAINS.peer, node.owner.id, [
      base(`-m conntrack --ctstate RELATED,ESTABLISHED --ctdir REPLY ${FORWARD_ROLE} -j RETURN`),
      base(`-m conntrack --ctstate RELATED,ESTABLISHED --ctdir ORIGINAL ${ANSWER_ROLE} -j RETURN`),
      base(`-m conntrack --ctstate RELATED,ESTABLISHED --ctdir ORIGINAL ${CLUSTER_ROLE} -j RETURN`),
      ...peersOf(view).map((peer) => ({
        rule: `-m conntrack --ctstate NEW -m mac --mac-source ${tunnelMac(peer.index)} -j CONNMARK --set-xmark ${hex(markOf(peer.index) + ROLE_ANSWER)}/${hex(MASK_ALL)}`,
        owner: peer.owner,
      })),
      base(`-m conntrack --ctstate NEW ${ANSWER_ROLE} -g ${CHAINS.admit}`),
      base("-j DROP"),
    ]),
    ...chainOf("mangle", CHAINS.admit, node.owner.id, [
      base("-m addrtype --dst-type LOCAL -j DROP"),
      base(`-m set --match-set ${IGNORE} dst -j DROP`),
      ...here.flatMap((placed) => [
        ...each(
          isAnsweredByCluster(placed) ? [placed] : [],
          () => `${selects(placed)} ${comment(placed)} ${ANSWER_BY_CLUSTER}`,
        ),
        ...each([placed], () => `${selects(placed)} ${comment(placed)} -j RETURN`),
      ]),
      base("-j DROP"),
    ]),
    ...chainOf("mangle", CHAINS.admitGuard, node.owner.id, [
      ...each(here, (placed) => `${guards(placed)} ${comment(placed)} -j RETURN`),
      base("-j DROP"),
    ]),
    ...chainOf("mangle", CHAINS.resetMark, node.owner.id, [
      ...passingTunnel(view),
      base(`-p udp -m udp --dport ${node.fleet.tunnelPort} -j DROP`),
      // The filter table answers a FIN: unanswered, a pod would go on sending it when nobody here stops it any more.
      base(`${LATE_FIN} ${CUT_MATCH} -m conntrack --ctstate INVALID -j RETURN`),
      base(`${CUT_MATCH} -m conntrack --ctstate INVALID -j DROP`),
      base(`-i ${TUNNEL} -m conntrack --ctstate NEW -j ${CHAINS.admitGuard}`),
      ...nodeIp.flatMap(({ index, owner }) =>
        [
          `-j CONNMARK --set-xmark 0x0/${hex(MASK_ALL)}`,
          `-j MARK --set-xmark ${hex(CLASS_NODE_IP)}/${hex(MASK_MARK)}`,
        ].map((target) => ({
          rule: `! -o ${TUNNEL} -m mark --mark ${hex(markOf(index))}/${hex(MASK_MARK)} ${FIRST_PACKET} ${target}`,
          owner,
        })),
      ),
      ...(nodeIp.length > 0 ? [base(`-m mark --mark ${NODE_IP} -j RETURN`)] : []),
      base(`! -o ${TUNNEL} -m mark --mark ${NODE} -j DROP`),
      base(`! -o ${TUNNEL} -m conntrack --ctdir ORIGINAL ${FORWARD_ROLE} -j DROP`),
      // A mark that the connection did not keep would steer its first packet only.
      base(`-o ${TUNNEL} -m mark --mark ${NODE} -m conntrack --ctdir ORIGINAL ${OTHER_ROLE} -j DROP`),
      base(`! -o ${TUNNEL} -m conntrack --ctstate INVALID,UNTRACKED -j ${CHAINS.stray}`),
      base(`! -o ${TUNNEL} ${FIRST_PACKET} -j ${CHAINS.guard}`),
      base(`-o ${TUNNEL} -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss ${node.mtu - 40}`),
      // What a pod sends into the tunnel is as long as the answer to its SYN says, whichever way that takes.
      ...(here.some(isAnsweredByCluster)
        ? [base(`-p tcp ${CLUSTER_ROLE} -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss ${node.mtu - 40}`)]
        : []),
      base(`-m mark --mark ${NODE} -j MARK --set-xmark ${hex(CLASS_KEEP)}/${hex(MASK_MARK)}`),
    ]),
    ...chainOf("mangle", CHAINS.guard, node.owner.id, [
      base(NOT_GUARD_IGNORED),
      ...each(contested, (placed) => `${guards(placed)} ${comment(placed)} -j RETURN`),
      ...each(remote, (placed) => `${guards(placed)} ${comment(placed)} -j DROP`),
    ]),
    ...chainOf("mangle", CHAINS.stray, node.owner.id, [
      base(NOT_GUARD_IGNORED),
      ...each(policies, (placed) => `${guards(placed)} ${comment(placed)} -j DROP`),
    ]),
    ...chainOf("mangle", CHAINS.keepMark, node.owner.id, [
      base(`-m mark --mark ${KEEP} -j ACCEPT`),
      base(`-m conntrack --ctstate INVALID ${CUT_MATCH} -j DROP`),
      // The guard of a lost path once more, behind another hook.
      base(`! -o ${TUNNEL} -m conntrack --ctdir ORIGINAL ${FORWARD_ROLE} -j DROP`),
    ]),
    ...chainOf("nat", CHAINS.choose, node.owner.id, [
      base(`-i ${TUNNEL} -j RETURN`),
      base(NOT_IGNORED),
      // The last mark holds.
      ...each(
        formerFirst(policies.filter((placed) => placed.at === "peer" || contested.includes(placed))),
        (placed) =>
          `${selects(placed)} ${comment(placed)} -j MARK --set-xmark ${hex(placed.at === "here" ? 0 : markOf(placed.peer ?? 0))}/${hex(MASK_MARK)}`,
      ),
      base(`-m mark --mark ${NODE} ${SAVE}`),
    ]),
    ...chainOf("nat", CHAINS.noSnat, node.owner.id, [
      ...acceptedSources(view),
      base(`-m mark --mark ${KEEP} -j ACCEPT`),
      ...each(
        remote.filter((placed) => placed.gateway.weave),
        (placed) => `-m mark --mark ${KEEP} ${selects(placed)} ${comment(placed)} -j ACCEPT`,
      ),
      ...(nodeIp.length > 0 ? [base(`-m mark --mark ${NODE_IP} -j MASQUERADE`)] : []),
    ]),
    ...chainOf("nat", CHAINS.snat, node.owner.id, [
      base(NOT_IGNORED),
      ...each(here, (placed) => `${selects(placed)} ${snat(placed)}`),
    ]),
    ...chainOf("nat", CHAINS.snatBackup, node.owner.id, [
      ...acceptedSources(view),
      base(NOT_GUARD_IGNORED),
      ...each(here, (placed) => `${guards(placed)} ${snat(placed)}`),
    ]),
    ...chainOf("filter", CHAINS.tunnel, node.owner.id, [
      base(`-m set --match-set ${PEERS} src -j ACCEPT`),
      base("-j DROP"),
    ]),
    ...chainOf("filter", CHAINS.cut, node.owner.id, [
      ...unknownAnswers(view),
      base(`${MID_FLOW} -m conntrack --ctstate INVALID,NEW ${CUT_MATCH} -j REJECT --reject-with tcp-reset`),
      base(`${OPENING} -m conntrack --ctstate NEW ${OPENING_MATCH} -j REJECT --reject-with tcp-reset`),
      base(`-p udp -m conntrack --ctstate NEW ${CUT_MATCH} -j REJECT --reject-with icmp-port-unreachable`),
      base(`-p icmp -m conntrack --ctstate NEW ${CUT_MATCH} -j DROP`),
    ]),
    ...(dropsForward || dropsOutput
      ? chainOf("filter", CHAINS.keep, node.owner.id, [
          base(`-o ${TUNNEL} -m mark --mark ${KEEP} -j ACCEPT`),
          base(`-i ${TUNNEL} -j ACCEPT`),
          ...(here.some(isAnsweredByCluster) ? [base(`-m conntrack --ctdir REPLY ${CLUSTER_ROLE} -j ACCEPT`)] : []),
          base(
            `-p udp -m udp --dport ${node.fleet.tunnelPort} -m mark --mark ${KEEP} -m set --match-set ${PEERS} dst -j ACCEPT`,
          ),
        ])
      : []),
    ...hooks("mangle", "PREROUTING", node.owner.id, [`-j ${CHAINS.markRequest}`]),
    ...hooks("mangle", "FORWARD", node.owner.id, [`-j ${CHAINS.resetMark}`]),
    ...hooks("mangle", "POSTROUTING", node.owner.id, [`-j ${CHAINS.keepMark}`]),
    ...hooks("nat", "PREROUTING", node.owner.id, [`-j ${CHAINS.choose}`]),
    ...hooks("nat", "POSTROUTING", node.owner.id, [
      `-j ${CHAINS.noSnat}`,
      `-j ${CHAINS.snat}`,
      `-j ${CHAINS.snatBackup}`,
    ]),
    ...hooks("filter", "INPUT", node.owner.id, [`-p udp -m udp --dport ${node.fleet.tunnelPort} -j ${CHAINS.tunnel}`]),
    ...hooks("filter", "FORWARD", node.owner.id, [`-j ${CHAINS.cut}`]),
    ...(dropsForward ? hooks("filter", "FORWARD", node.owner.id, [`-j ${CHAINS.keep}`], "last") : []),
    ...(dropsOutput ? hooks("filter", "OUTPUT", node.owner.id, [`-j ${CHAINS.keep}`], "last") : []),
  ];
}

const formerFirst = (policies: readonly PlacedPolicy[]): PlacedPolicy[] => [
  ...policies.filter(({ isFormer }) => isFormer),
  ...policies.filter(({ isFormer }) => !isFormer),
];

const isAnsweredByCluster = ({ gateway }: PlacedPolicy): boolean => gateway.answers === "cluster";
const ANSWER_BY_CLUSTER = `-j CONNMARK --set-xmark ${hex(ROLE_CLUSTER)}/${hex(ROLE_BITS)}`;

const comment = ({ policy }: PlacedPolicy): string => policyComment(policy.owner.id);

function selects({ sets: { source, destination } }: PlacedPolicy): string {
  return `-m set --match-set ${source} src -m set --match-set ${destination} dst`;
}

function guards({ sets: { guardSource, guardDestination } }: PlacedPolicy): string {
  return `-m set --match-set ${guardSource} src -m set --match-set ${guardDestination} dst`;
}

/** Forwarded packets only: what the node itself sends keeps the node's own source. */
function snat(placed: PlacedPolicy): string {
  return `-m addrtype ! --src-type LOCAL ${comment(placed)} -j SNAT --to-source ${placed.policy.egressIP}`;
}

/** Gateway nodes all of whose users chose "node-ip": first packets that can't take the tunnel leave by the node's address. */
function nodeIpPeers(view: NodeView): { index: number; owner: string }[] {
  return peersOf(view).filter(({ index }) => {
    const users = view.gateways.filter((g) =>
      Object.values(g.nodes).some((peer) => peer.index === index && peer.gateway),
    );
    return users.length > 0 && users.every((gateway) => gateway.onTunnelLoss === "node-ip");
  });
}
