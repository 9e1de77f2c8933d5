// Warns before a session expires. Knows only the time.
import { longest } from "./browser.js";

/**
 * Calls `warn` with the ms that are left, `before` ms before the end. The returned function sets how many ms are left
 * now; null stops the warning.
 */
export function createExpiry(before: number, warn: (expiresIn: number) => void): (expiresIn: number | null) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (expiresIn) => {
    clearTimeout(timer);
    if (expiresIn === null) return;
    const end = Date.now() + expiresIn;
    const monotonicEnd = performance.now() + expiresIn;
    const check = (): void => {
      // Somebody may set one clock back; the other may stand still while the machine sleeps.
      const left = Math.min(end - Date.now(), monotonicEnd - performance.now());
      if (left > before) timer = setTimeout(check, Math.min(left - before, longest));
      else warn(Math.max(left, 0));
    };
    check();
  };
}
