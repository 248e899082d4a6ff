import * as path from "node:path";
import { root } from "../test/engine/install";

/** A file that stands beside the sources in bench/, also when this runs compiled from dist/. */
export const sourceFile = (name: string): string => path.join(root, "bench", name);
