import fc from "fast-check";
import { formatAddress, formatNetwork } from "../../../provider/model/address";

/** Any address. */
export const address = fc.nat({ max: 2 ** 32 - 1 }).map(formatAddress);

/** Any network in canonical form. */
export const cidr = fc
  .tuple(fc.nat({ max: 2 ** 32 - 1 }), fc.nat({ max: 32 }))
  .map(([n, length]) => networkOf(n, length));

/** All addresses of 10.0.0.0/26: so few that networks in them often meet, and brute force can try each. */
export const smallWorld = Array.from({ length: 64 }, (_, i) => formatAddress(10 * 2 ** 24 + i));

/** A network that meets the small world: mostly inside it, sometimes around it. */
export const smallCidr = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.nat({ max: 63 }), fc.integer({ min: 26, max: 32 }))
      .map(([n, l]) => networkOf(10 * 2 ** 24 + n, l)),
  },
  { weight: 1, arbitrary: fc.constantFrom("0.0.0.0/0", "0.0.0.0/1", "10.0.0.0/8", "10.0.0.0/24", "128.0.0.0/1") },
);

export const smallCidrs = (minLength: number): fc.Arbitrary<string[]> =>
  fc.array(smallCidr, { minLength, maxLength: 6 });

function networkOf(n: number, length: number): string {
  return formatNetwork({ base: n - (n % 2 ** (32 - length)), length });
}
