import { didYouMean } from "../../../provider/model/did-you-mean";

test.each([
  ["gw1", ["gw-1", "gw-2"], ' Did you mean "gw-1"?'],
  ["PrivateKey", ["privateKey", "privateKeyPassword"], ' Did you mean "privateKey"?'],
  ["dorp", ["drop", "node-ip"], ' Did you mean "drop"?'],
  ["gw-3", ["gw-2", "gw-1"], ' Did you mean "gw-1"?'],
  ["gw-2x", ["gw-1", "gw-2"], ' Did you mean "gw-2"?'],
  ["ab", ["abc"], ' Did you mean "abc"?'],
  ["ab", ["a"], ' Did you mean "a"?'],
  ["ab", ["abcd"], ""],
  ["gw", ["gw-2", "gw-1"], ""],
  ["worker", ["gw-1"], ""],
  ["anything", [], ""],
])("%s among %j", (text, choices, expected) => {
  expect(didYouMean(text, choices)).toBe(expected);
});
