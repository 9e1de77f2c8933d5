// The HTTP half of a createSessions(): express-session made here, or one that the application made elsewhere.
import type { Store } from "express-session";
import type { OwnHosts } from "../handshake/hosts.js";
import { ProxyTrust } from "../handshake/proxy-trust.js";
import { type FindId, fromCookie } from "../handshake/session-id.js";
import { checkBooleans } from "../internal/check-options.js";
import { liveStore } from "../store/drivers/express-store/express-store.js";
import { memoryStore } from "../store/drivers/memory.js";
import { backendOf, type LiveStore } from "../store/live-store.js";
import type { Policies } from "../store/policies.js";
import { createMiddleware, inspectMiddleware, type Middleware } from "./middleware.js";
import { cookieNameOf, type HttpOptions, type Secrets } from "./session-options.js";

/** What the other half has in common with it. */
export interface HttpHalf {
  readonly middleware: Middleware;
  readonly store: LiveStore;
  /** True for a store that nobody else can close. */
  readonly ownsStore: boolean;
  readonly findId: FindId;
  readonly trust: ProxyTrust;
  /** Undefined where it is not known. */
  readonly cookiePath: string | undefined;
}

interface HalfOptions extends HttpOptions {
  readonly middleware?: unknown;
  readonly store?: Store | null | undefined;
}

/** @throws SessionError `OPTION_INVALID`, `STORE_UNSUPPORTED`, `STORE_NOT_LIVE` */
export function setUpHttp(
  options: HalfOptions,
  hosts: OwnHosts | undefined,
  secrets: Secrets | undefined,
  policies: Policies,
): HttpHalf {
  const { store: given, cookie, proxy } = options;
  if (options.middleware) {
    const middleware = options.middleware as Middleware;
    checkBooleans({ proxy });
    // Requests do not pass through here, so that Express's setting cannot be learned.
    const trust = new ProxyTrust(proxy ?? false, hosts);
    const { store, findId } = inspectMiddleware(middleware, trust);
    return { middleware, store, ownsStore: false, findId, trust, cookiePath: undefined };
  }
  const trust = new ProxyTrust(proxy ?? undefined, hosts);
  // What express-session would take for no store may be a mistake of an `&&`.
  const store = given === undefined || given === null ? memoryStore() : liveStore(given);
  // Before express-session puts its generator on the store: one that is refused must not make the sessions of others.
  backendOf(store).checkClaim(policies);
  return {
    middleware: createMiddleware(options, store, trust),
    store,
    ownsStore: store !== given,
    findId: fromCookie(cookieNameOf(options), secrets as Secrets),
    trust,
    cookiePath: typeof cookie === "object" ? cookie?.path : undefined,
  };
}
