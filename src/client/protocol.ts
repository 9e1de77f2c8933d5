// What the page and the server tell each other, and the parts of a Socket.IO client that the page's half uses. Types
// alone; imports nothing of the server.

/** Why a session is over, or why a handshake was refused; docs/errors says what each means. */
export type ClientCode =
  | "SESSION_MISSING"
  | "SESSION_INVALID"
  | "SESSION_UNKNOWN"
  | "SESSION_DESTROYED"
  | "SESSION_EXPIRED"
  | "SESSION_ROTATED"
  | "STORE_UNAVAILABLE"
  | "ORIGIN_REFUSED"
  | "TICKET_INVALID"
  | "SESSION_FORBIDDEN"
  | "LIMIT_REACHED";

/** What the server tells a client when it refuses a handshake or ends a session. */
export interface CloseReason {
  readonly code?: ClientCode;
  /** Whether coming back can help. */
  readonly retry?: boolean;
}

/** What the server tells a page of its session. */
export interface SessionView {
  /** What the server's `view` option returned; null where there is none. */
  readonly view?: unknown;
  /** How long the session lasts if nothing happens, in ms; null where nothing ends it. */
  readonly expiresIn?: number | null;
  /** False where the server has no `view` option. */
  readonly hasView?: false;
}

/** The parts of a Socket.IO client socket that the page's half uses. */
export interface ClientSocket {
  readonly connected: boolean;
  readonly active: boolean;
  readonly io: { readonly engine: { readonly readyState: string } };
  auth: unknown;
  sendBuffer: unknown[];
  // `never`: whatever events an application has typed, its socket fits.
  on(event: never, listener: never): unknown;
  off(event: never, listener: never): unknown;
  onAnyOutgoing(listener: never): unknown;
  offAnyOutgoing(listener: never): unknown;
  emit(event: never): unknown;
  /** An EventSource has none: it comes back by itself, or never. */
  connect?(): unknown;
  disconnect(): unknown;
}
