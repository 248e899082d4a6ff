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
  longest({ base, length }: Network): V | undefined {
    for (const { length: outer, values } of this.byLength) {
      if (outer > length) continue;
      const value = values.get(masked(base, outer));
      if (value !== undefined) return value;
    }
    return undefined;
  }
}
