/** ` Did you mean "x"?` with the choice that is most like `text`; empty if none is like it. */
export function didYouMean(text: string, choices: readonly string[]): string {
  const limit = Math.floor(text.length * 0.4) + 1;
  const near = choices
    .map((choice) => ({ choice, steps: distance(text.toLowerCase(), choice.toLowerCase()) }))
    .filter(({ choice, steps }) => steps <= limit && choice !== text)
    .sort((a, b) => a.steps - b.steps || (a.choice < b.choice ? -1 : 1));
  return near[0] ? ` Did you mean ${JSON.stringify(near[0].choice)}?` : "";
}

/** Levenshtein: the fewest insertions, deletions and replacements of one character. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
