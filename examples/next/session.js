// The session of the request that is being answered, for pages and route handlers. Next bundles this file once more for
// them, so what both copies share is global.
import { AsyncLocalStorage } from "node:async_hooks";

/** Which request the code that runs is for. */
export const requests = (globalThis[Symbol.for("requests")] ??= new AsyncLocalStorage());

/** The session of this request, as express-session has it. */
export const session = () => requests.getStore().session;
