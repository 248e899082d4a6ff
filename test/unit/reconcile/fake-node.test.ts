import type { Step } from "../../../provider/reconcile/step";
import { FakeNode } from "./fake-node";
import { foreignWorld } from "./fake-world";

/** What the real tools say to the same, on iproute2 6.1, ipset 7.17 and iptables 1.8.9 (nft and legacy). */
const LINK = "link add egw.vxlan address 66:26:00:00:00:0b mtu 1450 type vxlan external dstport 4790";
const UP = [LINK, "link set egw.vxlan up", "addr add 100.126.0.11/32 dev egw.vxlan"];
const NEIGHBOUR = "neigh replace 100.126.0.21 lladdr 66:26:00:00:00:15 dev egw.vxlan nud permanent";
const LEG =
  "route replace default via 100.126.0.21 dev egw.vxlan onlink table 3021 proto 38 encap ip id 4097 dst 192.168.0.21";
const CLOSED = "route replace unreachable default metric 4096 table 3021 proto 38";
const RULE = "pref 5000 fwmark 0x26001500/0xffff3f00 table 3021 protocol 38";
const SET = "create egw-s hash:net family inet maxelem 1048576";

const script = (tool: Step["tool"], ...input: string[]): Step => ({ tool, input, undo: [] });
const ip = (...lines: string[]): Step => script("ip", ...lines);
const ipset = (...lines: string[]): Step => script("ipset", ...lines);
const mangle = (...lines: string[]): Step => script("iptables", "*mangle", ...lines, "COMMIT");

test.each<[string, Step[], string | RegExp | undefined]>([
  ["a device twice", [ip(LINK, LINK)], "RTNETLINK answers: File exists"],
  ["a second device on the port", [ip(LINK, LINK.replace("egw.vxlan", "other"))], "RTNETLINK answers: File exists"],
  ["no device to remove", [ip("link del egw.vxlan")], 'Cannot find device "egw.vxlan"'],
  ["an address twice", [ip(...UP, UP[2] ?? "")], "Error: ipv4: Address already assigned."],
  ["no address to remove", [ip(LINK, "addr del 100.126.0.11/32 dev egw.vxlan")], "Error: ipv4: Address not found."],
  ["a label too long", [ip(`addr add 192.0.2.1/32 dev eth0 label eth0:${"x".repeat(11)}`)], /policy validation/],
  ["a neighbour twice", [ip(LINK, NEIGHBOUR, NEIGHBOUR)], undefined],
  ["no neighbour to remove", [ip(...UP, "neigh del 100.126.0.21 dev egw.vxlan")], /No such file or directory/],
  ["a route twice", [ip(...UP, LEG, LEG, CLOSED, CLOSED)], undefined],
  [
    "a route by a device that is down",
    [ip(LINK, "addr add 100.126.0.11/32 dev egw.vxlan", LEG)],
    "Error: Nexthop device is not up.",
  ],
  [
    "a route by a device without an address",
    [ip(LINK, "link set egw.vxlan up", LEG)],
    "Error: Nexthop has invalid gateway.",
  ],
  ["no route to remove", [ip(...UP, LEG, "route del unicast default table 3022 proto 38")], /No such process/],
  ["no unicast route to remove", [ip(CLOSED, "route del unicast default table 3021 proto 38")], /No such process/],
  ["a rule twice", [ip(`rule add ${RULE}`, `rule add ${RULE}`)], "RTNETLINK answers: File exists"],
  ["no rule to remove", [ip(`rule del ${RULE}`)], /No such file or directory/],
  ["a set twice", [ipset(SET, SET)], undefined],
  ["a set of another type", [ipset(SET, SET.replace("hash:net", "hash:ip"))], /already exists/],
  ["a set of another size", [ipset(SET, SET.replace("1048576", "65536"))], /already exists/],
  ["a set whose members can expire", [ipset(SET, `${SET} timeout 0`)], /already exists/],
  ["a set with comments", [ipset(`${SET} timeout 60`, `${SET} timeout 60 comment`)], /already exists/],
  ["a master that is not there", [ip(LINK, "link set egw.vxlan master brx")], /[Dd]evice/],
  ["no master to leave", [ip(LINK, "link set egw.vxlan nomaster")], undefined],
  [
    "a member twice, removed twice",
    [ipset(SET, "add egw-s 10.0.0.1", "add egw-s 10.0.0.1", "del egw-s 10.0.0.1", "del egw-s 10.0.0.1")],
    undefined,
  ],
  ["a member of no set", [ipset("add egw-s 10.0.0.1")], "The set with the given name does not exist"],
  ["no set to flush", [ipset("flush egw-s")], "The set with the given name does not exist"],
  ["no set to destroy", [ipset("destroy egw-s")], undefined],
  ["everything as a member", [ipset(SET, "add egw-s 0.0.0.0/0")], /value of the CIDR parameter/],
  [
    "a set that a rule uses",
    [ipset(SET), mangle("-A FORWARD -m set --match-set egw-s src -j DROP"), ipset("destroy egw-s")],
    /in use/,
  ],
  ["a rule with no such set", [mangle("-A FORWARD -m set --match-set egw-s src -j DROP")], "Set egw-s doesn't exist."],
  ["a rule with no such chain", [mangle("-A FORWARD -j EGRESSGATEWAY-X")], "Chain 'EGRESSGATEWAY-X' does not exist"],
  [
    "a chain that is made after it is named",
    [mangle("-A FORWARD -j EGRESSGATEWAY-X", ":EGRESSGATEWAY-X - [0:0]")],
    /does not exist/,
  ],
  ["a target of another table", [mangle("-A FORWARD -j SNAT --to-source 192.0.2.1")], "Chain 'SNAT' does not exist"],
  ["no rule to remove from a chain", [mangle("-D FORWARD -j DROP")], /Bad rule/],
  ["a position behind the end", [mangle("-I FORWARD 3 -j DROP")], /Index of insertion too big/],
  ["the last position", [mangle("-I FORWARD 2 -j DROP")], undefined],
  [
    "a chain that is not empty",
    [mangle(":EGRESSGATEWAY-X - [0:0]", "-A EGRESSGATEWAY-X -j DROP", "-X EGRESSGATEWAY-X")],
    /busy/,
  ],
  [
    "a chain that a rule jumps to",
    [mangle(":EGRESSGATEWAY-X - [0:0]", "-A FORWARD -j EGRESSGATEWAY-X", "-X EGRESSGATEWAY-X")],
    /busy/,
  ],
  ["no chain to remove", [mangle("-X EGRESSGATEWAY-X")], /No chain/],
  [
    "a setting of a device that is gone",
    [script("sysctl", "net/ipv4/conf/egw.vxlan/rp_filter = 2")],
    /No such file or directory/,
  ],
])("the fake answers as the tools do: %s", (_, steps, error) => {
  const found = new FakeNode(foreignWorld("192.168.0.11")).apply(steps);
  if (error === undefined) expect(found).toBeUndefined();
  else expect(found?.message).toMatch(error);
});

test.each<[string, string, RegExp]>([
  [
    "a device that goes takes all with it but what has no device",
    "link del egw.vxlan",
    /^7 default table 3021 proto 38 metric 4096 $/,
  ],
  [
    "a device that goes down keeps its address",
    "link set egw.vxlan down",
    /^0: egw\.vxlan {4}inet 100\.126\.0\.11\/32.*\n(.*\n)*7 default table 3021/,
  ],
  [
    "a last address takes routes and neighbours with it",
    "addr del 100.126.0.11/32 dev egw.vxlan",
    /^7 default table 3021 proto 38 metric 4096 $/,
  ],
  [
    "a new MAC takes the neighbours with it",
    "link set egw.vxlan address 66:26:00:00:00:0c",
    /^0: .*100\.126\.0\.11(.*\n)*7 default .*\n?default {2}encap/,
  ],
])("the fake does what the kernel does: %s", (_, line, left) => {
  const node = new FakeNode(foreignWorld("192.168.0.11"));
  const before = new Set(node.print().split("\n"));
  expect(node.apply([ip(...UP, NEIGHBOUR, CLOSED, LEG), ip(line)])).toBeUndefined();
  const text = node
    .print()
    .split("\n")
    .filter((l) => !before.has(l) && !/link\/ether|conf\/egw/.test(l))
    .join("\n");
  expect(text).toMatch(left);
  expect(text).not.toMatch(/lladdr/);
});

test("a table's commit happens whole or not at all, and other tables stay as they were", () => {
  const node = new FakeNode(foreignWorld("192.168.0.11"));
  const before = node.print();
  expect(() => node.run(mangle(":EGRESSGATEWAY-X - [0:0]", "-A EGRESSGATEWAY-X -j NOWHERE"))).toThrow("NOWHERE");
  expect(node.print()).toBe(before);
});

test.each([
  ip("link set egw.vxlan txqueuelen 3"),
  ip("route replace default via 10.0.0.1 weight 3"),
  ip("addr flush dev eth0"),
  ipset("rename a b"),
  mangle("-R FORWARD 1 -j DROP"),
  mangle("-P FORWARD DROP"),
])("the fake refuses what it doesn't know: $input", (step) => {
  expect(() => new FakeNode(foreignWorld("192.168.0.11")).apply([ip(LINK), step])).toThrow(/the fake|No chain/);
});
