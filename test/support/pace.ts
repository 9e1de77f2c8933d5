// For tests whose time runs while they work: what a machine that stood still meanwhile shows proves nothing.

/**
 * Does what must not take `ms` or longer, or, where it calls `step()` between its steps, each of them; does it again
 * where it did, whether it failed or not. What fails in time has failed.
 */
export async function inTime<T>(ms: number, work: (step: () => void) => Promise<T>): Promise<T> {
  for (;;) {
    let since = performance.now();
    let longest = 0;
    const step = (): void => {
      const now = performance.now();
      longest = Math.max(longest, now - since);
      since = now;
    };
    try {
      const result = await work(step);
      step();
      if (longest < ms) return result;
    } catch (error) {
      step();
      if (longest < ms) throw error;
    }
  }
}
