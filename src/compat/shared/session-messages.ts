// A page's messages, as socket.io-sessions gave them: none is missed, and each is acknowledged. Knows nothing of sessions.
import type { EventEmitter } from "node:events";
import { safely } from "../../internal/safely.js";

type Listener = (...values: unknown[]) => unknown;

/**
 * Keeps messages until the returned call, for the listeners that are added meanwhile: Socket.IO may already have read
 * those that came in one go with `connect_with_session`, so that it is too late to hold them back. These are all that
 * are kept here, as `holdEvents()` has the later ones: so what came in one go is their limit.
 */
export function holdMessages(client: EventEmitter): () => void {
  const held: unknown[][] = [];
  const hold = (...values: unknown[]): void => void held.push(values);
  client.on("message", hold);
  const before = client.rawListeners("message") as Listener[];
  return () => {
    client.removeListener("message", hold);
    const added = (client.rawListeners("message") as Listener[]).filter((listener) => !before.includes(listener));
    for (const values of held) for (const listener of added) safely(() => listener.apply(client, values));
  };
}

/** Up to Socket.IO 0.9 `send(message, callback)` called back by itself: so it does, unless a listener takes the callback. */
export function acknowledgeMessages(client: EventEmitter): void {
  client.on("message", (...values: unknown[]) => {
    const callback = values.at(-1);
    const isTaken = client.listeners("message").some((listener) => listener.length > 1);
    if (typeof callback === "function" && !isTaken) (callback as () => void)();
  });
}
