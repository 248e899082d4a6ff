/** What a CIDR means, by comparing bits as text: shares nothing with the code under test. */
export function isIn(address: string, cidr: string): boolean {
  const [base = "", length = "32"] = cidr.split("/");
  return bits(address).slice(0, Number(length)) === bits(base).slice(0, Number(length));
}

export function isInAny(address: string, cidrs: readonly string[]): boolean {
  return cidrs.some((cidr) => isIn(address, cidr));
}

/** The longest network that has the address. */
export function longestMatch(address: string, cidrs: readonly string[]): string | undefined {
  const length = (cidr: string): number => Number(cidr.split("/")[1]);
  return cidrs.filter((cidr) => isIn(address, cidr)).sort((a, b) => length(b) - length(a))[0];
}

const known = new Map<string, string>();

function bits(address: string): string {
  const text =
    known.get(address) ??
    address
      .split(".")
      .map((octet) => Number(octet).toString(2).padStart(8, "0"))
      .join("");
  known.set(address, text);
  return text;
}
