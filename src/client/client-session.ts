// What a page holds of its session, in types.
import type { ClientCode } from "./protocol.js";

/** Options of {@link withSession}. */
export interface ClientOptions {
  /** Where `sessions.routes` is mounted. Default `"/session"`. */
  url?: string | undefined;
  /** How long before the session's end `"expiring"` comes, in ms. Less than `cookie.maxAge`. Default 60,000. */
  warnBefore?: number | undefined;
  /**
   * True fetches a ticket for each connect: for a socket server that the browser sends no cookie to, because it is on
   * another site. Default false.
   */
  ticket?: boolean | undefined;
}

/** The events of {@link ClientSession.on}. */
export interface ClientEvents<View> {
  /** The session is over, or the server refused this page; told once, in every tab. */
  end: { readonly code: ClientCode };
  /** What the page may know of the session is known for the first time, or has changed. */
  change: View;
  /** The session ends in this many ms unless something happens. */
  expiring: { readonly in: number };
  /** The session was renewed, here or in another tab: it lasts this many ms more (null: for ever). */
  renewed: { readonly in: number | null };
}

/** A page's session. Make it with {@link withSession}. */
export interface ClientSession<View> {
  /** What the server's `view` returned last; undefined before the first connect and after the end. */
  readonly view: View | undefined;
  /** Why the session is over, or why the server refused this page; undefined while neither is so. */
  readonly ended: ClientCode | undefined;
  /** The warning that is out: the ms that were left when it came; undefined when it is over. */
  readonly expiring: { readonly in: number } | undefined;
  /** Listens. */
  on<Event extends keyof ClientEvents<View>>(event: Event, listener: (value: ClientEvents<View>[Event]) => void): this;
  /** Stops listening. */
  off<Event extends keyof ClientEvents<View>>(event: Event, listener: (value: ClientEvents<View>[Event]) => void): this;
  /** Renews the session and its cookie now: the button "stay signed in". Resolves with whether it was renewed. */
  renew(): Promise<boolean>;
  /** Lets go of the socket, which stays as it is. */
  close(): void;
}
