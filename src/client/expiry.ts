// Warns before a session expires. Knows only the time.
import { longest } from "./browser.js";

/**
 * Calls `warn` with the ms that are left, `before` ms before the end. What it returns takes the ms until the end, each
 * time that they are known anew; null: there is none.
 */
export function createExpiry(before: number, warn: (left: number) => void): (left: number | null) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (left) => {
    clearTimeout(timer);
    if (left === null) return;
    const end = Date.now() + left;
    const ends = performance.now() + left;
    const look = (): void => {
      // One clock may be set back, the other may stand still while the machine sleeps.
      const rest = Math.min(end - Date.now(), ends - performance.now());
      if (rest > before) timer = setTimeout(look, Math.min(rest - before, longest));
      else warn(Math.max(rest, 0));
    };
    look();
  };
}
