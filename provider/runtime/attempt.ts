import type { Claim } from "../model/claim";
import type { Label } from "./label";
import { noted } from "./quiet";
import type { Properties } from "./result";
import { memory } from "./run-memory";

const EVERYTHING = ["0.0.0.0/0"];

/**
 * A call of the engine on which policies may depend that are yet to come. Those that take something wait for it; where it
 * fails or refuses they never come, and what they were to take is not let go of by others in this run.
 */
export function attempt<T extends object>(kind: Claim["kind"], news: Properties, call: () => Promise<T>): Promise<T> {
  const { label } = news as { readonly label?: Label };
  const failed = () => void memory.notTaken.set(`${kind} ${label?.name ?? ""}`, EVERYTHING);
  return noted(async () => {
    try {
      const result = await call();
      if ("failures" in result) failed();
      return result;
    } catch (error) {
      failed();
      throw error;
    }
  });
}
