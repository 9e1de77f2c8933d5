// Who may come in, with which session. To admit a client is three steps: checkOrigin, findId, acquire. Before them goes
// issueSession with `missing: "create"`, after them redeemTicket where tickets are taken. Knows requests and live
// sessions, no server.
import type { IncomingMessage } from "node:http";
import createDebug from "debug";
import { endCodeOf, type ErrorCode, type SessionCode, SessionError } from "../errors.js";
import type { FindId, Found } from "./session-id.js";
import type { Cors } from "./cors.js";
import { originOfPage, type OriginRules, refusedOrigin, warnOfOrigin } from "./origin.js";
import type { ProxyTrust } from "./proxy-trust.js";
import type { OneTimeTickets } from "./one-time-tickets.js";
import { after, type Awaitable, rescue } from "../internal/awaitable.js";
import type { Connection } from "../session/connections.js";
import type { ActiveSession } from "../session/live-session.js";
import type { Registry } from "../session/registry.js";
import { warnOnce } from "../warnings.js";

const debug = createDebug("socket-session:admission");

/** What happens with a client that has no session. */
export type Missing = "reject" | "anonymous" | "create";

/** Why a handshake was refused, for `sessions.on("refused")`. */
export interface Refusal {
  readonly code: SessionCode;
  /** The page's origin where that was the reason. */
  readonly origin: string | undefined;
  /** The handshake request; undefined for WebTransport, or where the application has dropped it. */
  readonly request: IncomingMessage | undefined;
}

/** The options of one `attach()` call that decide who comes in. */
export interface AdmissionRules extends OriginRules {
  readonly missing: Missing;
  readonly findId: FindId;
  /** Undefined where tickets are not taken. */
  readonly tickets: OneTimeTickets | undefined;
}

interface IssuedSession {
  readonly id: string;
  readonly setCookie: string;
}

/** What {@link Admission} needs of the sessions that it admits to. */
export interface AdmissionHost {
  readonly registry: Registry;
  readonly trust: ProxyTrust;
  /** Whether this id is in the store. */
  exists(id: string): Promise<boolean>;
  /** Stores a new session, and tells its cookie; undefined where the cookie cannot be set. */
  issueSession(request: IncomingMessage): Promise<IssuedSession | undefined>;
  onRefused(refusal: Refusal): void;
  onError(error: unknown): void;
}

/** Who shows a ticket. */
export interface TicketHolder {
  readonly connection: Connection;
  /** Whose tickets count: {@link Admission.holdersOf} its handshake. */
  readonly holders: readonly string[];
  /** The session that it has already. */
  readonly live: ActiveSession | undefined;
  readonly request: IncomingMessage | null | undefined;
}

/** True for refusals of clients that brought no session: a ticket can bring one. */
export function canTicketHelp(code: ErrorCode | undefined): boolean {
  return code === "SESSION_MISSING" || code === "SESSION_INVALID" || code === "SESSION_UNKNOWN";
}

/** Admits or refuses the clients of one `attach()` call. */
export class Admission {
  readonly #host: AdmissionHost;
  readonly #rules: AdmissionRules;
  /** Sessions that were issued for handshakes under way. */
  readonly #issued = new WeakMap<IncomingMessage, IssuedSession | undefined>();
  /** Handshakes for which none could be issued. */
  readonly #unissued = new WeakSet<IncomingMessage>();

  constructor(host: AdmissionHost, rules: AdmissionRules) {
    this.#host = host;
    this.#rules = rules;
  }

  /** True where {@link issueSession} has to be called before a handshake is answered. */
  get issuesSessions(): boolean {
    return this.#rules.missing === "create";
  }

  /** Issues a session for a handshake that brings none, before it is answered. Never rejects. */
  async issueSession(request: IncomingMessage, cors: Cors | undefined): Promise<void> {
    try {
      if ((await this.#refusedOrigin(request, cors)) !== undefined) return;
      const found = this.#findId(request);
      if ("id" in found ? await this.#host.exists(found.id) : found.code === "STORE_UNAVAILABLE") return;
      this.#issued.set(request, await this.#host.issueSession(request));
    } catch (error) {
      // The handshake goes on and is refused with the reason where the client can read it. A wrong option is no outage.
      if ((error as Partial<SessionError> | null)?.code !== "OPTION_INVALID") this.#unissued.add(request);
      this.#host.onError(error);
    }
  }

  /** The Set-Cookie header for the response to this handshake. */
  setCookie(request: IncomingMessage): string | undefined {
    return this.#issued.get(request)?.setCookie;
  }

  /** Whether a ticket lets a client in that brings no session. */
  get takesTickets(): boolean {
    return this.#rules.tickets !== undefined;
  }

  /**
   * Whose tickets count with this handshake: those that a page of the same origin has fetched. With the server's own
   * origin also those that were fetched without any (""): what is no browser may name it, and a page of another site
   * cannot.
   */
  holdersOf(request: IncomingMessage | null | undefined): readonly string[] {
    if (!request) return [""];
    const { trust } = this.#host;
    try {
      const origin = originOfPage(request, trust);
      return origin === trust.originOf(request) ? [origin, ""] : [origin];
    } catch (error) {
      // The application's own "trust proxy" function threw: no ticket is of this origin.
      this.#host.onError(error);
      return [];
    }
  }

  /**
   * Admits a connection: gives its live session, or undefined for an anonymous one, at once where nobody has to be
   * waited for. Throws or rejects with the SessionError that the client is to be told. With `isTicketToCome` a refusal
   * that a ticket can cure is not reported.
   */
  admit(
    request: IncomingMessage | null | undefined,
    connection: Connection,
    cors: Cors | undefined,
    isTicketToCome: boolean,
  ): Awaitable<ActiveSession | undefined> {
    const admit = (): Awaitable<ActiveSession | undefined> =>
      after(request ? this.#checkOrigin(request, cors) : undefined, () =>
        this.#acquire(request ?? undefined, connection, cors),
      );
    return rescue(admit, (error) => {
      const refusal = this.#refusalOf(error);
      if (!isTicketToCome || !canTicketHelp(refusal.code)) this.report(refusal.code, request);
      throw refusal;
    });
  }

  /**
   * Gives a connection the session of its ticket. Where it has a session already, the ticket must be for that one, and
   * is used up. Rejects with the SessionError that the client is to be told.
   */
  async redeemTicket(ticket: string, by: TicketHolder): Promise<ActiveSession> {
    const { connection, holders, live } = by;
    try {
      const id = await (this.#rules.tickets as OneTimeTickets).redeem(ticket, holders, live?.id);
      return live ?? (await this.#host.registry.acquire(id, connection));
    } catch (error) {
      // It ended in the moment between.
      const refusal = endCodeOf(error) ? new SessionError("TICKET_INVALID") : this.#refusalOf(error);
      this.report(refusal.code, by.request);
      throw refusal;
    }
  }

  /** Tells who listens that a handshake was refused. */
  report(code: ErrorCode, request: IncomingMessage | null | undefined): void {
    debug("handshake refused: %s", code);
    if (code === "SESSIONS_CLOSED") return;
    this.#host.onRefused({
      code: code as SessionCode,
      origin: code === "ORIGIN_REFUSED" ? request?.headers.origin : undefined,
      request: request ?? undefined,
    });
  }

  #refusalOf(error: unknown): SessionError {
    if (error instanceof SessionError) return error;
    this.#host.onError(error);
    return new SessionError("STORE_UNAVAILABLE", { cause: error });
  }

  #checkOrigin(request: IncomingMessage, cors: Cors | undefined): Awaitable<void> {
    return after(this.#refusedOrigin(request, cors), (refused) => {
      if (refused === undefined) return;
      warnOfOrigin(refused, request, this.#host.trust);
      throw new SessionError("ORIGIN_REFUSED");
    });
  }

  /** The live session of the id in the request, or of the one that was issued for it. */
  #acquire(
    request: IncomingMessage | undefined,
    connection: Connection,
    cors: Cors | undefined,
  ): Awaitable<ActiveSession | undefined> {
    const { missing } = this.#rules;
    const issued = request && this.#issued.get(request);
    // WebTransport has no request that could carry a cookie.
    const found: Found = issued ?? (request ? this.#findId(request) : { code: "SESSION_MISSING" });
    if ("code" in found) {
      if (request) this.#warnOfCors(request, cors);
      if (found.code === "SESSION_INVALID") warnOnce("SESSION_INVALID");
      if (missing === "anonymous" && found.code !== "STORE_UNAVAILABLE") return undefined;
      throw new SessionError(request && this.#unissued.has(request) ? "STORE_UNAVAILABLE" : found.code);
    }
    const { registry } = this.#host;
    if (missing !== "anonymous") return registry.acquire(found.id, connection);
    return rescue(() => registry.acquire(found.id, connection), anonymousIfUnknown);
  }

  #findId(request: IncomingMessage): Found {
    try {
      return this.#rules.findId(request);
    } catch (error) {
      this.#host.onError(error);
      return { code: "SESSION_INVALID" };
    }
  }

  #refusedOrigin(request: IncomingMessage, cors: Cors | undefined): Awaitable<string | undefined> {
    return rescue(
      () => refusedOrigin(request, this.#rules, this.#host.trust, cors),
      (error) => {
        // The application's own function threw: what it did not allow is refused.
        this.#host.onError(error);
        return request.headers.origin ?? "(none)";
      },
    );
  }

  #warnOfCors(request: IncomingMessage, cors: Cors | undefined): void {
    const isCrossOrigin = request.headers.origin !== undefined && request.headers.cookie === undefined;
    if (!cors || typeof cors === "function") return;
    if (isCrossOrigin && cors.origin !== undefined && cors.credentials !== true) warnOnce("CORS_WITHOUT_CREDENTIALS");
  }
}

function anonymousIfUnknown(error: unknown): undefined {
  if ((error as SessionError).code !== "SESSION_UNKNOWN") throw error;
}
