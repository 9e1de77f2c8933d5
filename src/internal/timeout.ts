// How long somebody else may take to answer. Knows neither stores nor sessions.

/**
 * Settles as `promise` does, if that takes at most `ms`; after that as `onTimeout` says, by what it returns or throws.
 * What `promise` does later is dropped.
 */
export async function withTimeout<T>(promise: Promise<T>, ms: number, onTimeout: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  let turn: NodeJS.Immediate | undefined;
  const late = new Promise<T>((resolve, reject) => {
    const giveUp = (): void => {
      try {
        resolve(onTimeout());
      } catch (error) {
        reject(error);
      }
    };
    // A process that was busy for so long has not yet read the answer that is there: it does so before the immediate.
    timer = setTimeout(() => (turn = setImmediate(giveUp)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    clearImmediate(turn);
  }
}
