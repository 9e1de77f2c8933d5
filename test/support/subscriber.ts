// A subscriber of a live store that only listens, for tests.
import { onTestFinished } from "vitest";
import type { Notice } from "../../src/store/cluster/change-bus.js";
import { backendOf, type LiveStore } from "../../src/store/live-store.js";

/** Calls `onNotice` for all changes until the end of the test; `watches` where it needs the notices of all sessions. */
export function subscribe(store: LiveStore, onNotice: (notice: Notice) => void, watches = true): () => void {
  const unsubscribe = backendOf(store).subscribe({
    onNotice,
    flush: () => undefined,
    watches: () => watches,
    connectionsOf: () => 0,
  });
  onTestFinished(unsubscribe);
  return unsubscribe;
}
