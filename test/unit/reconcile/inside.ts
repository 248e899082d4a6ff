import { type Network, parseNetwork } from "../../../provider/model/address";

const known = new Map<string, Network>();

/** The tracer asks for the same few networks millions of times. */
export function networkOf(text: string): Network {
  const found = known.get(text) ?? parseNetwork(text);
  if (!found) throw new Error(`not a network: ${text}`);
  known.set(text, found);
  return found;
}

export function inside(network: string, address: string): boolean {
  const { base, length } = networkOf(network);
  return Math.floor(networkOf(address).base / 2 ** (32 - length)) === Math.floor(base / 2 ** (32 - length));
}
