// Work on many things, so many side by side: neither all at once, which no storage answers in time, nor one by one.

/** Does `work` for each, `size` at a time; resolves with what it gave, in order. Rejects with the first that fails. */
export async function inBatches<T, Result>(
  items: readonly T[],
  size: number,
  work: (item: T) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let index = 0; index < items.length; index += size) {
    results.push(...(await Promise.all(items.slice(index, index + size).map(work))));
  }
  return results;
}
