/** Tells whether an address lies in one of these CIDRs; a bare address is a range of one. */
export function rangeTest(cidrs: readonly string[]): (address: string) => boolean {
  const ranges = cidrs.map((cidr) => {
    const [base = "", length = "32"] = cidr.split("/");
    const size = 2 ** (32 - Number(length));
    const first = Math.floor(addressNumber(base) / size) * size;
    return { first, last: first + size - 1 };
  });
  const known = new Map<string, boolean>();
  return (address) => {
    const before = known.get(address);
    if (before !== undefined) return before;
    const value = addressNumber(address);
    const found = ranges.some(({ first, last }) => value >= first && value <= last);
    known.set(address, found);
    return found;
  };
}

function addressNumber(text: string): number {
  const bytes = text.split(".").map(Number);
  if (bytes.length !== 4 || bytes.some((byte) => !(byte >= 0 && byte <= 255))) {
    throw new Error(`${JSON.stringify(text)} is no IPv4 address`);
  }
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}
