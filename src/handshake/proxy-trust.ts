// Which scheme and host the browser used: the connection's own, or what a trusted proxy says in X-Forwarded headers.
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { OwnHosts } from "./hosts.js";

/** The part of an Express application that says whom it trusts. */
export interface TrustingApp {
  get(setting: "trust proxy fn" | "query parser fn"): unknown;
}

/** Tells whether a request's X-Forwarded headers count. */
export class ProxyTrust {
  readonly #proxy: boolean | undefined;
  readonly #hosts: OwnHosts | undefined;
  #app: TrustingApp | undefined;

  /**
   * `proxy` as in express-session: true trusts, false does not, undefined follows Express's "trust proxy". `hosts` are
   * the names of this server; undefined takes any that a request says.
   */
  constructor(proxy: boolean | undefined, hosts?: OwnHosts) {
    this.#proxy = proxy;
    this.#hosts = hosts;
  }

  /** Remembers the application whose "trust proxy" setting counts: handshakes do not pass through it. */
  learn(app: TrustingApp | undefined): void {
    this.#app ??= app;
  }

  /** The application that was learned. */
  get app(): TrustingApp | undefined {
    return this.#app;
  }

  /** Whether Express trusts an address that is so many hops away; where it is not known, `proxy` counts. */
  trustsHop(address: string | undefined, hop: number): boolean {
    const trust = this.#app?.get("trust proxy fn");
    if (typeof trust !== "function") return this.#proxy === true;
    return (trust as (address: string | undefined, hop: number) => boolean)(address, hop);
  }

  trusts(request: IncomingMessage): boolean {
    if (this.#proxy !== undefined) return this.#proxy;
    return this.trustsHop(request.socket?.remoteAddress, 0);
  }

  /** True where the origin is the server's own and no proxy has a say: by far the most requests. */
  isPlainly(request: IncomingMessage, origin: string): boolean {
    const { "x-forwarded-host": forwardedHost, "x-forwarded-proto": forwardedProto } = request.headers;
    const host = saidHost(request);
    if (host === undefined || forwardedHost !== undefined || forwardedProto !== undefined) return false;
    return origin === `${isEncrypted(request) ? "https" : "http"}://${host}`;
  }

  isSecure(request: IncomingMessage): boolean {
    return isEncrypted(request) || (this.trusts(request) && forwardedScheme(request) === "https");
  }

  /** The origin of the server as the browser sees it, or undefined without a usable Host header. */
  originOf(request: IncomingMessage, trusts = this.trusts(request)): string | undefined {
    const proto = trusts ? forwardedScheme(request) : undefined;
    const scheme = proto ?? (isEncrypted(request) ? "https" : "http");
    return parseOrigin(`${scheme}://${hostOf(request, trusts) ?? ""}`);
  }

  /** The host that this request was sent to, where it is none of this server's: the page was led here (DNS rebinding). */
  strangeHost(request: IncomingMessage): string | undefined {
    if (!this.#hosts) return undefined;
    const origin = this.originOf(request);
    if (origin !== undefined && this.#hosts(origin)) return undefined;
    return hostOf(request, this.trusts(request)) ?? "none";
  }
}

/** The scheme that a proxy says the browser used; some proxies say ws and wss for WebSockets. */
export function forwardedScheme(request: IncomingMessage): string | undefined {
  return first(request.headers["x-forwarded-proto"])?.replace(/^ws/, "http");
}

/** The host with its port as the browser said it, or as a trusted proxy says. */
function hostOf(request: IncomingMessage, trusts: boolean): string | undefined {
  return (trusts ? first(request.headers["x-forwarded-host"]) : undefined) ?? saidHost(request);
}

/** The host as the client said it: HTTP/2 has a field of its own for it. */
function saidHost({ headers }: IncomingMessage): string | undefined {
  return headers.host ?? (headers[":authority"] as string | undefined);
}

/** True for what can stand in an Origin header: "null", or a scheme and a host, with no user before and no path behind. */
export function isOrigin(header: string): boolean {
  return /^(?:null|[a-z][a-z\d+.-]*:\/\/[^\s/?#\\@]*)$/i.test(header);
}

/** True for what a list of origins may have: what {@link isOrigin} takes, or a URL that has one; no wildcard. */
export function canBeOrigin(listed: string): boolean {
  return !listed.includes("*") && (isOrigin(listed) || normalize(listed) !== undefined);
}

/** An Origin header as the URL standard writes origins; undefined for an opaque one, and for what is none. */
export function parseOrigin(header: string): string | undefined {
  return isOrigin(header) ? normalize(header) : undefined;
}

/** Scheme, host and port of a URL, with default ports left out; undefined for what is none. */
export function normalize(url: string): string | undefined {
  try {
    const { origin } = new URL(url);
    return origin === "null" ? undefined : origin;
  } catch {
    return undefined;
  }
}

/** Whether the connection itself has TLS, whatever a proxy says. */
export function isEncrypted(request: IncomingMessage): boolean {
  return (request.socket as (Socket & { encrypted?: boolean }) | undefined)?.encrypted === true;
}

/** The first of a list of values, as Express takes it. */
function first(header: string | string[] | undefined): string | undefined {
  const value = Array.isArray(header) ? header[0] : header;
  return value?.split(",", 1)[0]?.trim().toLowerCase() || undefined;
}
