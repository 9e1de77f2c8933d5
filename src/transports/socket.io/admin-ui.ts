// Recognises the namespace of @socket.io/admin-ui, whose clients log in by themselves: its page is on another origin and
// has no session. A namespace of the application's with the same name must stay guarded, so the name counts for nothing.
import type { Namespace } from "./internals.js";

interface InstrumentedServer {
  /** Where instrument() counts what happens. */
  readonly _eventBuffer?: unknown;
}

/** In the listener that instrument() puts on its namespace. The names are those of its protocol: no minifier changes them. */
const greeting = /\bemit\("config", ?\{\s*supportedFeatures\b/;
/** In the one that it puts on every namespace, in development mode. */
const observation = /\bemit\("socket_connected",/;

/** True for a namespace whose sockets nobody but admin-ui handles. */
export function isAdminUi(namespace: Namespace): boolean {
  if ((namespace.server as InstrumentedServer)._eventBuffer === undefined) return false;
  const listeners = namespace.listeners("connection").map(String);
  return (
    listeners.some((code) => greeting.test(code)) &&
    listeners.every((code) => greeting.test(code) || observation.test(code))
  );
}
