// Express 4 and 5 from the inside: `app.use()` takes what has `handle` and `set` for an application, mounts it, and emits
// "mount" on it with the application around it. Without that, nobody could know Express's settings before a request.
import type { TrustingApp } from "../handshake/proxy-trust.js";
import type { Middleware } from "./express-session-internals.js";

/** Makes a middleware that is called back with the Express application that uses it. */
export function tellWhenMounted(middleware: Middleware, onMount: (app: TrustingApp) => void): Middleware {
  const emit = (_mount: string, app: TrustingApp): void => onMount(app);
  return Object.assign(middleware, { handle: middleware, set: () => undefined, emit });
}
