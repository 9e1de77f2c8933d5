// How long to wait before something is tried again. Who waits, and for what, is not decided here.

/** A pause of at most `ms`, half of it random: those who failed together do not come back together. */
export function jittered(ms: number): number {
  return ms / 2 + (Math.random() * ms) / 2;
}

/** The pause (ms) after this many failures, jittered: up to `shortest` at 0, doubled with each failure up to `longest`. */
export function backoff(failures: number, shortest: number, longest: number): number {
  return jittered(Math.min(shortest * 2 ** failures, longest));
}
