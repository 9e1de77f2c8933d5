// What every kind of server needs: who may come in, with which session. Knows requests and live sessions, no server.
import type { IncomingMessage } from "node:http";
import createDebug from "debug";
import { endCodeOf, type ErrorCode, type SessionCode, SessionError } from "../errors.js";
import type { FindId, Found } from "./session-id.js";
import type { Cors } from "./cors.js";
import { originOfPage, type OriginRules, refusedOrigin } from "./origin.js";
import type { ProxyTrust } from "./proxy-trust.js";
import type { Tickets } from "./ticket.js";
import type { ActiveSession, Connection } from "../session/live-session.js";
import type { Registry } from "../session/registry.js";
import { warnOnce } from "../warnings.js";

const debug = createDebug("socket-session:admission");

/** What happens with a socket that has no session. */
export type Missing = "reject" | "anonymous" | "create";

/** Why a handshake was refused, for `sessions.on("refused")`. */
export interface Refusal {
  readonly code: SessionCode;
  /** The page's origin where that was the reason. */
  readonly origin: string | undefined;
  /** The handshake request; undefined for WebTransport, or where the application has dropped it. */
  readonly request: IncomingMessage | undefined;
}

export interface AdmissionRules extends OriginRules {
  readonly missing: Missing;
  readonly findId: FindId;
  /** Undefined where tickets let nobody in. */
  readonly tickets: Tickets | undefined;
}

/** What the sessions provide for admission. */
export interface Host {
  readonly registry: Registry;
  readonly trust: ProxyTrust;
  /** Whether this id is in the store. */
  exists(id: string): Promise<boolean>;
  issue(request: IncomingMessage): Promise<{ readonly id: string; readonly setCookie: string } | undefined>;
  refused(refusal: Refusal): void;
  failed(error: unknown): void;
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

/** True for refusals of clients that brought no session: a ticket brings one. */
export function isCurable(code: ErrorCode | undefined): boolean {
  return code === "SESSION_MISSING" || code === "SESSION_INVALID" || code === "SESSION_UNKNOWN";
}

/** Decides for each handshake of one `attach()` call. */
export class Admission {
  readonly #host: Host;
  readonly #rules: AdmissionRules;
  /** Sessions that were issued for handshakes under way. */
  readonly #issued = new WeakMap<IncomingMessage, { readonly id: string; readonly setCookie: string }>();
  /** Handshakes for which none could be issued. */
  readonly #unissued = new WeakSet<IncomingMessage>();

  constructor(host: Host, rules: AdmissionRules) {
    this.#host = host;
    this.#rules = rules;
  }

  /** True where handshakes must be prepared before they are answered. */
  get issues(): boolean {
    return this.#rules.missing === "create";
  }

  /** `missing: "create"`: issues a session, before the handshake is answered, where it brings none. Never rejects. */
  async prepare(request: IncomingMessage, cors: Cors | undefined): Promise<void> {
    try {
      if ((await this.#refusedOrigin(request, cors)) !== undefined) return;
      const found = this.#find(request);
      if ("id" in found ? await this.#host.exists(found.id) : found.code === "STORE_UNAVAILABLE") return;
      const issued = await this.#host.issue(request);
      if (issued) this.#issued.set(request, issued);
    } catch (error) {
      // The handshake goes on and is refused with the reason where the client can read it. A wrong option is no outage.
      if ((error as Partial<SessionError> | null)?.code !== "OPTION_INVALID") this.#unissued.add(request);
      this.#host.failed(error);
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
      this.#host.failed(error);
      return [];
    }
  }

  /**
   * Lets a connection in: resolves with its live session, or with undefined for an anonymous one; rejects with the
   * SessionError that the client is to be told. Where a ticket may still come, what it can cure is not reported.
   */
  async admit(
    request: IncomingMessage | null | undefined,
    connection: Connection,
    cors: Cors | undefined,
    isTicketToCome: boolean,
  ): Promise<ActiveSession | undefined> {
    try {
      return await this.#admit(request ?? undefined, connection, cors);
    } catch (error) {
      const refusal = this.#refusalOf(error);
      if (!isTicketToCome || !isCurable(refusal.code)) this.report(refusal.code, request);
      throw refusal;
    }
  }

  /**
   * Lets a connection in by its ticket. With a session of its own the ticket must be for that one, and is used up.
   * Rejects with the SessionError that the client is to be told.
   */
  async redeem(ticket: string, by: TicketHolder): Promise<ActiveSession> {
    const { connection, holders, live } = by;
    try {
      const id = await (this.#rules.tickets as Tickets).redeem(ticket, holders, live?.id);
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
    this.#host.refused({
      code: code as SessionCode,
      origin: code === "ORIGIN_REFUSED" ? request?.headers.origin : undefined,
      request: request ?? undefined,
    });
  }

  #refusalOf(error: unknown): SessionError {
    if (error instanceof SessionError) return error;
    this.#host.failed(error);
    return new SessionError("STORE_UNAVAILABLE", { cause: error });
  }

  async #admit(
    request: IncomingMessage | undefined,
    connection: Connection,
    cors: Cors | undefined,
  ): Promise<ActiveSession | undefined> {
    const { missing } = this.#rules;
    if (request) {
      const refused = await this.#refusedOrigin(request, cors);
      if (refused !== undefined) {
        warnOnce("ORIGIN_REFUSED", refused.slice(0, 200), `Origin: ${JSON.stringify(refused.slice(0, 200))}.`);
        throw new SessionError("ORIGIN_REFUSED");
      }
    }
    const issued = request && this.#issued.get(request);
    // WebTransport has no request that could carry a cookie.
    const found: Found = issued ?? (request ? this.#find(request) : { code: "SESSION_MISSING" });
    if ("code" in found) {
      if (request) this.#noteMissing(request, cors);
      if (missing === "anonymous" && found.code !== "STORE_UNAVAILABLE") return undefined;
      throw new SessionError(request && this.#unissued.has(request) ? "STORE_UNAVAILABLE" : found.code);
    }
    try {
      return await this.#host.registry.acquire(found.id, connection);
    } catch (error) {
      if (missing === "anonymous" && (error as SessionError).code === "SESSION_UNKNOWN") return undefined;
      throw error;
    }
  }

  #find(request: IncomingMessage): Found {
    try {
      return this.#rules.findId(request);
    } catch (error) {
      this.#host.failed(error);
      return { code: "SESSION_INVALID" };
    }
  }

  async #refusedOrigin(request: IncomingMessage, cors: Cors | undefined): Promise<string | undefined> {
    try {
      return await refusedOrigin(request, this.#rules, this.#host.trust, cors);
    } catch (error) {
      // The application's own function threw: what it did not allow is refused.
      this.#host.failed(error);
      return request.headers.origin ?? "(none)";
    }
  }

  #noteMissing(request: IncomingMessage, cors: Cors | undefined): void {
    const isCrossOrigin = request.headers.origin !== undefined && request.headers.cookie === undefined;
    if (!cors || typeof cors === "function") return;
    if (isCrossOrigin && cors.origin !== undefined && cors.credentials !== true) warnOnce("CORS_WITHOUT_CREDENTIALS");
  }
}
