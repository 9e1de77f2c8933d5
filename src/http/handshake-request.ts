// A copy of a handshake's request for express-session, and for the application's `cookie` and `genid` functions. It has
// the properties that Express adds; the request itself stays as it is. Knows no sessions.
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { parse as parseQuery } from "node:querystring";
import { forwardedScheme, isEncrypted, type ProxyTrust } from "../handshake/proxy-trust.js";

const trusted = Symbol("trust");

interface HandshakeRequest extends IncomingMessage {
  readonly [trusted]: ProxyTrust;
  readonly secure: boolean;
  readonly host: string | undefined;
  readonly hostname: string | undefined;
}

/** What Express's `req` has. Express itself is the application's: it is not there for who uses Connect. */
const express: object & ThisType<HandshakeRequest> = {
  get app() {
    return this[trusted].app;
  },
  get: header,
  header,
  get secure() {
    return isEncrypted(this) || (trustsProxy(this) && forwardedScheme(this) === "https");
  },
  get protocol() {
    return this.secure ? "https" : "http";
  },
  get host() {
    const forwarded = trustsProxy(this) ? (this.headers["x-forwarded-host"] as string | undefined) : undefined;
    const [host] = (forwarded || this.headers.host || "").split(",", 1) as [string];
    return host.trim() || undefined;
  },
  get hostname() {
    return /^(?:\[[^\]]*\]|[^:]*)/.exec(this.host ?? "")?.[0] || undefined;
  },
  get subdomains() {
    const { hostname = "" } = this;
    return isIP(hostname) ? [] : hostname.split(".").toReversed().slice(2);
  },
  get ip() {
    return addressesOf(this).at(-1);
  },
  get ips() {
    return addressesOf(this).slice(1).toReversed();
  },
  get path() {
    return (this.url ?? "/").split("?", 1)[0] || "/";
  },
  get query() {
    const text = this.url?.split("?").slice(1).join("?") ?? "";
    const parse = this[trusted].app?.get("query parser fn");
    return typeof parse === "function" ? (parse as (text: string) => unknown)(text) : parseQuery(text);
  },
  get xhr() {
    return String(this.headers["x-requested-with"]).toLowerCase() === "xmlhttprequest";
  },
  baseUrl: "",
};

const properties = Object.getOwnPropertyDescriptors(express);

/** True for a request that {@link handshakeRequest} gave. */
export function isHandshake(request: object): boolean {
  return trusted in request;
}

/** A request for `express-session`, over one that did not pass the application. */
export function handshakeRequest(request: IncomingMessage, trust: ProxyTrust, headers: object): object {
  return Object.create(request, {
    ...properties,
    [trusted]: { value: trust },
    originalUrl: { value: request.url },
    headers: { value: headers },
    // What a cookie parser has found in the request: express-session would look for the old id there, too.
    ...("cookie" in headers ? {} : { cookies: { value: {} }, signedCookies: { value: {} } }),
    session: { value: undefined, writable: true },
    sessionID: { value: undefined, writable: true },
    sessionStore: { value: undefined, writable: true },
    connection: { value: { encrypted: isEncrypted(request), remoteAddress: request.socket?.remoteAddress } },
  }) as object;
}

function header(this: HandshakeRequest, name: string): unknown {
  const key = name.toLowerCase();
  const { headers } = this;
  return key === "referer" || key === "referrer" ? (headers["referrer"] ?? headers.referer) : headers[key];
}

function trustsProxy(request: HandshakeRequest): boolean {
  return request[trusted].trustsHop(request.socket?.remoteAddress, 0);
}

/** The addresses that a request came through, the nearest first, up to the first that is not trusted. */
function addressesOf(request: HandshakeRequest): string[] {
  const address = request.socket?.remoteAddress;
  const forwarded = String(request.headers["x-forwarded-for"] ?? "").split(",");
  const all = [address ?? "", ...forwarded.map((one) => one.trim()).toReversed()].filter(
    (one, index) => index === 0 || one !== "",
  );
  const end = all.findIndex((one, hop) => hop === all.length - 1 || !request[trusted].trustsHop(one, hop));
  return all.slice(0, end + 1);
}
