import type { Link } from "./link";

/** Links by key: one each, shared by all who ask, made again when it is gone. */
export interface LinkPool {
  get(key: string, connect: () => Promise<Link>): Promise<Link>;
  /** Forgets `link`, so that the next `get` connects again. */
  drop(key: string, link: Link): void;
  close(): Promise<void>;
}

export function createLinkPool(): LinkPool {
  const links = new Map<string, { pending: Promise<Link>; link?: Link }>();
  return {
    async get(key, connect) {
      const known = links.get(key);
      if (known !== undefined && (known.link === undefined || known.link.alive())) return known.pending;
      const entry: { pending: Promise<Link>; link?: Link } = { pending: connect() };
      links.set(key, entry);
      try {
        entry.link = await entry.pending;
        return entry.link;
      } catch (error) {
        if (links.get(key) === entry) links.delete(key);
        throw error;
      }
    },
    drop(key, link) {
      if (links.get(key)?.link === link) links.delete(key);
    },
    async close() {
      const entries = [...links.values()];
      links.clear();
      await Promise.allSettled(entries.map(async ({ pending }) => (await pending).close()));
    },
  };
}
