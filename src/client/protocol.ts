// What the browser's half and the server say to each other, and what is used of a Socket.IO client. Types alone; knows
// no code of the server.

/** Why a session is over, or why a handshake was refused; the README's table of codes says what each means. */
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
  | "LIMIT_REACHED";

/** What the server says of an end or a refusal. */
export interface Said {
  readonly code?: ClientCode;
  /** Whether coming back can help. */
  readonly retry?: boolean;
}

/** What a page may know of the session, and for how many ms it lasts if nothing happens (null: for ever). */
export interface Known {
  readonly view?: unknown;
  readonly in?: number | null;
}

/** The parts of a Socket.IO client's socket that are used. */
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
  connect(): unknown;
  disconnect(): unknown;
}
