// A copy of a handshake's request for express-session, and for the application's `cookie` and `genid` functions. It has
// the properties that Express adds; the request itself stays as it is. Knows no sessions.
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { parse as parseQuery } from "node:querystring";
import { forwardedScheme, isEncrypted, type ProxyTrust, type TrustingApp } from "../handshake/proxy-trust.js";

const trusted = Symbol("trust");

interface HandshakeRequest extends IncomingMessage {
  readonly [trusted]: ProxyTrust;
}

interface ExpressParts {
  readonly app: TrustingApp | undefined;
  get(name: string): unknown;
  header(name: string): unknown;
  readonly secure: boolean;
  readonly protocol: string;
  readonly host: string | undefined;
  readonly hostname: string | undefined;
  readonly subdomains: string[];
  readonly ip: string | undefined;
  readonly ips: string[];
  readonly path: string;
  readonly query: unknown;
  readonly xhr: boolean;
  readonly baseUrl: string;
}

/** What Express's `req` has. Express itself is the application's: it is not there for who uses Connect. */
const express: ExpressParts & ThisType<HandshakeRequest & ExpressParts> = {
  get app() {
    return this[trusted].app;
  },
  get(name: string): unknown {
    const header = name.toLowerCase();
    const { headers } = this;
    if (header === "referer" || header === "referrer") return headers["referrer"] ?? headers.referer;
    return headers[header];
  },
  header(name: string): unknown {
    return this.get(name);
  },
  get secure(): boolean {
    const { trust, address } = peerOf(this);
    return isEncrypted(this) || (trust.trustsHop(address, 0) && forwardedScheme(this) === "https");
  },
  get protocol(): string {
    return this.secure ? "https" : "http";
  },
  get host(): string | undefined {
    const { trust, address } = peerOf(this);
    const forwarded = trust.trustsHop(address, 0) ? this.headers["x-forwarded-host"] : undefined;
    const [host] = ((forwarded as string | undefined) || this.headers.host || "").split(",", 1) as [string];
    return host.trim() || undefined;
  },
  get hostname(): string | undefined {
    return /^(?:\[[^\]]*\]|[^:]*)/.exec(this.host ?? "")?.[0] || undefined;
  },
  get subdomains(): string[] {
    const { hostname = "" } = this;
    return isIP(hostname) ? [] : hostname.split(".").toReversed().slice(2);
  },
  get ip(): string | undefined {
    return addressesOf(this).at(-1);
  },
  get ips(): string[] {
    return addressesOf(this).slice(1).toReversed();
  },
  get path(): string {
    return (this.url ?? "/").split("?", 1)[0] || "/";
  },
  get query(): unknown {
    const text = this.url?.split("?").slice(1).join("?") ?? "";
    const parse = this[trusted].app?.get("query parser fn");
    return typeof parse === "function" ? (parse as (text: string) => unknown)(text) : parseQuery(text);
  },
  get xhr(): boolean {
    return String(this.headers["x-requested-with"]).toLowerCase() === "xmlhttprequest";
  },
  baseUrl: "",
};

const properties = Object.getOwnPropertyDescriptors(express);

const handshakes = new WeakSet<object>();

/** True for a request that {@link handshakeRequest} gave. */
export function isHandshake(request: object): boolean {
  return handshakes.has(request);
}

/** A request for `express-session`, over one that did not pass the application. */
export function handshakeRequest(request: IncomingMessage, trust: ProxyTrust, headers: object): object {
  const own = Object.create(request, {
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
  handshakes.add(own);
  return own;
}

function peerOf(request: HandshakeRequest): { readonly trust: ProxyTrust; readonly address: string | undefined } {
  return { trust: request[trusted], address: request.socket?.remoteAddress };
}

/** The addresses that a request came through, the nearest first, up to the first that is not trusted. */
function addressesOf(request: HandshakeRequest): string[] {
  const { trust, address } = peerOf(request);
  const forwarded = String(request.headers["x-forwarded-for"] ?? "").split(",");
  const all = [address ?? "", ...forwarded.map((one) => one.trim()).toReversed()].filter(
    (one, index) => index === 0 || one !== "",
  );
  const end = all.findIndex((one, hop) => hop === all.length - 1 || !trust.trustsHop(one, hop));
  return all.slice(0, end + 1);
}
