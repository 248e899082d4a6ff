import type { NodeMarkArgs } from "../../../provider/model/args";
import { rulesInFront } from "../../../provider/runtime/rules-in-front";
import { hostOf, ignore } from "./snapshots";

const args: NodeMarkArgs = {
  node: "gateway-1",
  fleet: { name: "lab", registry: { node: "gateway-1", connection: { host: "192.0.2.91" } }, ignore },
  connection: { host: "192.0.2.91" },
  underlayIP: "192.0.2.91",
};
/** Marks 0x26000100 and 0x26000200. */
const problems = (rules: readonly string[], indexes = [1, 2]) => rulesInFront(hostOf({ rules }), args, indexes);

test.each([
  ["for pods", "1536: from 10.0.1.11 to 203.0.113.0/24 lookup 2"],
  ["for everything", "100: from all lookup 254"],
  ["of the same preference", "5000: from all lookup 254"],
  ["for one of our marks", "9: from all fwmark 0x200/0xf00 lookup 2004"],
  ["for all but a mark", "100: not from all fwmark 0xca6c lookup 51820"],
  ["for what comes back from outside", "100: from 203.0.113.0/24 lookup 254"],
  ["towards all pods", "100: from all to 10.0.0.0/8 lookup 254"],
  ["that ends the search", "100: from 10.0.1.0/24 blackhole"],
  ["that jumps over ours", "100: from all goto 32766"],
])("an ip rule of somebody else in front of ours %s is refused with the way out", (_, rule) => {
  const [, preference, text] = /^(\d+): (.*)$/.exec(rule) ?? [];
  expect(problems([rule, "5000: from all lookup 7"])).toEqual([
    {
      path: "fleet.rulePreference",
      message: `node gateway-1: ip rule "${preference}: ${text}" stands in front of ours at 5000 and would take marked packets out of the tunnel. Set fleet.rulePreference below ${preference}, or narrow it to what is not selected.`,
    },
  ]);
});

test("one that can meet no marked packet is left alone", () => {
  const rules = [
    "0: from all lookup 255",
    "10: from all iif eth1 lookup 101",
    "11: from all iif wg0 [detached] lookup 102",
    "90: from all goto 100",
    "512: from all to 10.0.1.11 lookup 254",
    "600: not from all fwmark 0x26000000/0xff000000 lookup 254",
    "1024: from all fwmark 0x80/0x80 lookup 254",
    "1030: from all fwmark 0x40000/0xff0c0000 lookup 254",
    "1100: from 192.0.2.91 lookup 4",
    "1200: from all iif lo lookup 5",
    "1201: from all uidrange 0-0 lookup 5",
    "1300: from all lookup 254 suppress_prefixlength 0",
    "5001: from all lookup 9",
    "32766: from all lookup 254",
  ];
  expect(problems(rules)).toEqual([]);
  // A mark that no node of the fleet has.
  expect(problems(["9: from all fwmark 0x200/0xf00 lookup 2004"], [1, 3])).toEqual([]);
});
