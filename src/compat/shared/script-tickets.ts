// Tickets of socket.io-sessions: which session a browser has, by its cookie or by what its page's script was given.
// Knows neither stores nor sockets.
import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { promisify } from "node:util";
import { ProxyTrust } from "../../handshake/proxy-trust.js";
import { Seal } from "../../handshake/seal.js";
import { type CookieParser, findId, type Handshake, parseCookies } from "./cookies.js";
import { isForeign, type Personal, renewAfter } from "./session-script.js";
import { systemNow } from "../../internal/system-time.js";

/** How the session id is found in a request. One of the two is needed; the parser comes first. */
export interface TicketOptions {
  /** `cookieParser(secret)`. Its secret is the tickets', too: so all processes that have it take each other's. */
  readonly parser?: CookieParser;
  /**
   * What finds the session id, instead of `parser`. Tickets are then valid in the process that made them. Of a
   * socket's handshake it gets what all versions of Socket.IO tell: `headers`, `url`, `query`.
   */
  readonly cutter?: (request: IncomingMessage) => string | undefined | null;
  /** Whether a proxy of yours sets X-Forwarded-Host and X-Forwarded-Proto: they then name your own origin. Default false. */
  readonly proxy?: boolean;
}

/** How long a ticket is valid (ms): a cached one, too, long enough for a page to renew it. */
const lifetime = 3 * renewAfter;
const ownSecret = randomBytes(32);

/** The session id in a request, and the seal of tickets. */
interface Cut {
  readonly id: string | undefined;
  readonly seal: Seal;
}

/** Makes tickets for the page's script, and finds the session behind one. */
export class ScriptTickets {
  readonly trust: ProxyTrust;
  readonly #cut: (request: IncomingMessage) => Promise<Cut>;

  constructor({ parser, cutter, proxy = false }: TicketOptions) {
    this.trust = new ProxyTrust(proxy);
    this.#cut = parser ? (request) => parsed(request, parser) : async (request) => cutBy(request, cutter);
  }

  /** The ticket of a browser, and an ETag that holds for as long as its caches may keep it. */
  async personal(request: IncomingMessage): Promise<Personal> {
    const { id, seal } = await this.#cut(request);
    const now = systemNow();
    return {
      ticket: id === undefined ? undefined : seal.seal(id, lifetime),
      tag: seal.hash(`${Math.floor(now / renewAfter)} ${id ?? ""}`),
    };
  }

  /** The session id of a connection: its own cookie counts first, the ticket serves where there is none. */
  async idOf(handshake: Handshake & { readonly secure?: unknown }, ticket: unknown): Promise<string | undefined> {
    const socket = { encrypted: handshake.secure === true };
    const request = { ...handshake, headers: handshake.headers ?? {}, socket } as unknown as IncomingMessage;
    const { id, seal } = await this.#cut(request);
    // A foreign page can make the browser send the cookie, but cannot read a ticket.
    if (id !== undefined && !(await isForeign(request, this.trust))) return id;
    return typeof ticket === "string" ? seal.open(ticket) : undefined;
  }
}

/** A parser that fails has found nothing. */
async function parsed(request: Handshake, parser: CookieParser): Promise<Cut> {
  const find = (): unknown => findId(request, "connect.sid");
  return cut(await promisify(parseCookies)(parser, request).then(find, () => undefined), request.secret);
}

/** A cutter that fails has found nothing: those of the document throw where there is no cookie. */
function cutBy(request: IncomingMessage, cutter: TicketOptions["cutter"]): Cut {
  try {
    return cut(cutter?.(request));
  } catch {
    return cut(undefined);
  }
}

function cut(found: unknown, secret?: unknown): Cut {
  const id = (typeof found === "string" && found !== "") || typeof found === "number" ? String(found) : undefined;
  return { id, seal: new Seal([typeof secret === "string" && secret ? secret : ownSecret], "socket.io-sessions") };
}
