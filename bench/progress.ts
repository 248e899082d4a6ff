const began = Number(process.env.EGW_BEGAN || Date.now());

/** A line with the time since the start, beside the results: they go to stdout, this to stderr. */
export function say(text: string): void {
  const seconds = Math.round((Date.now() - began) / 1000);
  process.stderr.write(`[${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}] ${text}\n`);
}
