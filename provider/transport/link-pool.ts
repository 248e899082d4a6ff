import type { Link } from "./link";

/** Links by key: one each, shared by all who ask, made again when it is no longer alive. */
export interface LinkPool {
  get(key: string, connect: () => Promise<Link>): Promise<Link>;
  close(): Promise<void>;
}

interface Entry {
  readonly pending: Promise<Link>;
  /** Set when `pending` has come true. */
  link?: Link;
}

export function createLinkPool(): LinkPool {
  const entries = new Map<string, Entry>();
  return {
    async get(key, connect) {
      const known = entries.get(key);
      if (known !== undefined && (known.link === undefined || known.link.alive())) return known.pending;
      const entry: Entry = { pending: connect() };
      entries.set(key, entry);
      try {
        entry.link = await entry.pending;
        return entry.link;
      } catch (error) {
        if (entries.get(key) === entry) entries.delete(key);
        throw error;
      }
    },

    async close() {
      const all = [...entries.values()];
      entries.clear();
      await Promise.allSettled(all.map(async ({ pending }) => (await pending).close()));
    },
  };
}
