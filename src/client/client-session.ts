// The public types of the page's half.
import type { ClientCode } from "./protocol.js";

/** Options of {@link withSession}. */
export interface ClientOptions {
  /** Where `sessions.routes` is mounted. Default `"/session"`. */
  url?: string | undefined;
  /** How long before the end the event `"expiring"` comes, in ms; less than `cookie.maxAge`. Default 60,000. */
  warnBefore?: number | undefined;
  /**
   * True fetches a ticket for each connect. Set it where the socket server is on another site, to which the browser
   * sends no cookie. Default false.
   */
  ticket?: boolean | undefined;
}

/** The events of {@link ClientSession.on}. */
export interface ClientEvents<View> {
  /** The session has ended, or the server refused this page. Comes once, in every tab. */
  end: { readonly code: ClientCode };
  /** The first view of the session, or a view that has changed. */
  change: View;
  /** The session expires in `expiresIn` ms unless the user does something. */
  expiring: { readonly expiresIn: number };
  /** This tab or another one renewed the session: it lasts `expiresIn` ms more (null: nothing ends it). */
  renewed: { readonly expiresIn: number | null };
}

/** A page's session, made by {@link withSession}. */
export interface ClientSession<View> {
  /** What the server's `view` option returned last; undefined before the first connect and after the end. */
  readonly view: View | undefined;
  /** Why the session ended, or why the server refused this page; undefined otherwise. */
  readonly ended: ClientCode | undefined;
  /** The value of the last `"expiring"` event; undefined once the session is renewed or has ended. */
  readonly expiring: { readonly expiresIn: number } | undefined;
  /** Adds a listener. */
  on<Event extends keyof ClientEvents<View>>(event: Event, listener: (value: ClientEvents<View>[Event]) => void): this;
  /** Removes a listener. */
  off<Event extends keyof ClientEvents<View>>(event: Event, listener: (value: ClientEvents<View>[Event]) => void): this;
  /** Renews the session and its cookie, for a button "stay signed in". Resolves with true when that succeeded. */
  renew(): Promise<boolean>;
  /** Stops all listening and all timers. The socket stays as it is. */
  close(): void;
}
