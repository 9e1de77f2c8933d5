// Recognises the requests of browsers' EventSources.
import type { IncomingMessage } from "node:http";

/**
 * True for a request of an EventSource. It comes back by itself while it is answered with events, or not at all, and
 * never again after any other status.
 */
export function isEventSource({ method, headers }: IncomingMessage): boolean {
  return method === "GET" && headers.accept?.includes("text/event-stream") === true;
}
