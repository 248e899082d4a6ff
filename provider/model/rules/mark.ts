import type { Problem } from "../args";
import { type At, text } from "../at";
import { indexOf } from "../mark";
import { quote } from "../problem";
import { problemAt } from "./rule";

const KUBE_PROXY_BITS = 0xc000;

/** An explicit mark is 0x26VVVV00 with a value other than 0 that leaves kube-proxy's bits alone. */
export function markRule(place: At): Problem[] {
  const mark = text(place);
  return mark === undefined ? [] : problemAt(place, complaint(mark));
}

function complaint(mark: string): string | undefined {
  if (!/^0x26[0-9a-f]{4}00$/i.test(mark)) {
    return `${quote(mark)} is not a node mark. Write "0x26VVVV00", with hexadecimal digits for VVVV.`;
  }
  const value = Number(mark);
  if ((value & KUBE_PROXY_BITS) !== 0) {
    const cleared = (value - (value & KUBE_PROXY_BITS)).toString(16);
    const wayOut = indexOf(Number(`0x${cleared}`)) === undefined ? "0x26000100" : `0x${cleared}`;
    return `${quote(mark)} sets bit 0x4000 or 0x8000, which are kube-proxy's. Clear both, e.g. "${wayOut}".`;
  }
  return indexOf(value) === undefined
    ? `${quote(mark)} has the value 0, which is no node. Use "0x26000100" or above.`
    : undefined;
}
