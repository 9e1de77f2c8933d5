// The time of a test, moved while timers run as before.
import { onTestFinished, vi } from "vitest";

const now = performance.now.bind(performance);
let ahead = 0;

/** It is `ms` later now, by the system's clock (which stands still from then on) and by the monotonic one. */
export function jump(ms: number): void {
  if (!Object.hasOwn(performance, "now")) {
    onTestFinished(() => {
      ahead = 0;
      vi.useRealTimers();
      Reflect.deleteProperty(performance, "now");
    });
  }
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + ms });
  ahead += ms;
  performance.now = () => now() + ahead;
}
