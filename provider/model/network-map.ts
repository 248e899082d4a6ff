import { masked, type Network } from "./address";

/** Values by network, of which a look-up finds the one of the longest network that holds another. */
export class NetworkMap<V> {
  /** By length, the longest first, and by base. */
  private readonly byLength: { readonly length: number; readonly values: Map<number, V> }[] = [];

  set({ base, length }: Network, value: V): void {
    let found = this.byLength.find((one) => one.length === length);
    if (!found) {
      found = { length, values: new Map() };
      this.byLength.push(found);
      this.byLength.sort((a, b) => b.length - a.length);
    }
    found.values.set(masked(base, length), value);
  }

  /** Of the networks that hold this one, it among them, the longest one's. */
  longest(network: Network): V | undefined {
    for (const value of this.holding(network)) return value;
    return undefined;
  }

  /** Of all networks that hold this one, it among them, the longest one's first. */
  *holding({ base, length }: Network): Iterable<V> {
    for (const { length: outer, values } of this.byLength) {
      const value = outer > length ? undefined : values.get(masked(base, outer));
      if (value !== undefined) yield value;
    }
  }
}
