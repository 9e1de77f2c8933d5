// The connection on which a node hears the notices of the others: opened on first use, opened again with jitter when
// it is lost, pinged now and then. Knows neither Redis nor PostgreSQL, and no data of sessions.
import createDebug from "debug";
import { warnOnce } from "../../warnings.js";
import type { Hears, NoticeListener, Notices } from "../drivers/driver.js";
import { Refusal } from "../drivers/refusal.js";
import { backoff } from "../../internal/backoff.js";
import { withTimeout } from "../../internal/timeout.js";
import { type NoticeCodec, noticeName } from "./notice-codec.js";

const debug = createDebug("socket-session:notices");

/** An open connection of a {@link ReconnectingNotices}. */
export interface NoticeConnection {
  /** With "keys" whatever is read over this connection is heard of: nothing is subscribed. */
  readonly hears: Hears;
  /** Resolves when the server has confirmed it: from then on messages about these names come. */
  subscribe(names: readonly string[]): Promise<void>;
  /** Resolves when the server has confirmed it. */
  unsubscribe(name: string): Promise<void>;
  /** Resolves if the server answers. */
  ping(): Promise<unknown>;
  close(): void;
}

/** The hooks that a connection calls. */
export interface NoticeEvents {
  /** A message came about the session of this name. */
  onMessage(name: string, message: string): void;
  /** Somebody, with this library or without it, has written a session that was read; or any, without an id. */
  onInvalidated(id: string | undefined): void;
  /** The connection is gone. May be called more than once. */
  onLost(reason: unknown): void;
}

/** Times in ms; a test takes shorter ones. */
export interface NoticeTimes {
  /** How often the connection is pinged, and how long it may take to answer. */
  readonly heartbeat: number;
  /** How long opening may take. */
  readonly opening: number;
  readonly shortestPause: number;
  readonly longestPause: number;
}

const usualTimes: NoticeTimes = { heartbeat: 5000, opening: 5000, shortestPause: 100, longestPause: 5000 };

/** The notices of a driver, over connections that `open` makes. */
export class ReconnectingNotices<Connection extends NoticeConnection = NoticeConnection> implements Notices {
  readonly #open: (events: NoticeEvents) => Promise<Connection>;
  readonly #nameOf: (id: string) => string;
  readonly #codec: NoticeCodec;
  readonly #times: NoticeTimes;
  /** Gets what is heard; a driver may tell it what it finds by itself. */
  listener: NoticeListener | undefined;
  /** The sessions that are watched, and whether each was invalidated since it was last read. */
  readonly #watched = new Map<string, boolean>();
  /** While names are subscribed, the sessions that they stand for. */
  readonly #ids = new Map<string, string>();
  #connection: Connection | undefined;
  /**
   * Sessions whose subscription is being updated on this connection, by one command at a time. A client or a server that gets
   * both at once may keep either. Any other session is subscribed exactly where it is watched.
   */
  #updating = new Map<string, Promise<void>>();
  /** Settles with the attempt to open the connection that is under way. */
  #opening: Promise<void> | undefined;
  #failures = 0;
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;

  /** `open` resolves with a connection on which nothing is subscribed. */
  constructor(
    open: (events: NoticeEvents) => Promise<Connection>,
    codec: NoticeCodec,
    nameOf: (id: string) => string = noticeName,
    times: NoticeTimes = usualTimes,
  ) {
    this.#open = open;
    this.#codec = codec;
    this.#nameOf = nameOf;
    this.#times = times;
  }

  listen(listener: NoticeListener): void {
    this.listener = listener;
  }

  /** The connection, while it hears. */
  get connection(): Connection | undefined {
    return this.#connection;
  }

  get hears(): Hears | undefined {
    return this.#connection?.hears;
  }

  /** Whether somebody needs the notices of this session. */
  isWatched(id: string): boolean {
    return this.#watched.has(id);
  }

  /** Whether a session was invalidated since this was last asked: it is read now. */
  takeInvalidated(id: string): boolean {
    const isInvalidated = this.#watched.get(id) ?? false;
    if (isInvalidated) this.#watched.set(id, false);
    return isInvalidated;
  }

  watch(id: string): Promise<void> | undefined {
    const isNew = !this.#watched.has(id);
    if (isNew) this.#watched.set(id, false);
    if (!this.#isOpen) {
      this.#isOpen = true;
      void this.#connect();
    }
    // Whatever is watched when the connection opens is subscribed then. Between two attempts nobody waits.
    if (!this.#connection) return this.#opening;
    if (this.#connection.hears === "keys") return undefined;
    if (isNew) this.#update(this.#connection, id);
    return this.#updating.get(id);
  }

  unwatch(id: string): void {
    if (this.#watched.delete(id) && this.#connection?.hears === "channels") this.#update(this.#connection, id);
  }

  /** Brings the subscription of a session in line with whether it is watched. */
  #update(connection: Connection, id: string): void {
    const name = this.#nameOf(id);
    if (this.#watched.has(id)) this.#ids.set(name, id);
    else this.#ids.delete(name);
    // An update under way goes on until the server has confirmed what is wanted by then.
    if (!this.#updating.has(id)) this.#updating.set(id, this.#synchronize(connection, id, name, this.#updating));
  }

  async #synchronize(
    connection: Connection,
    id: string,
    name: string,
    updating: Map<string, Promise<void>>,
  ): Promise<void> {
    let isSubscribed = !this.#watched.has(id);
    try {
      while (this.#connection === connection && this.#watched.has(id) !== isSubscribed) {
        const command = isSubscribed ? connection.unsubscribe(name) : connection.subscribe([name]);
        await within(this.#times.opening, command);
        isSubscribed = !isSubscribed;
      }
    } catch (error) {
      // Nobody knows whether it is subscribed.
      this.#onLost(connection, error);
    } finally {
      updating.delete(id);
    }
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    clearTimeout(this.#timer);
    const connection = this.#connection;
    this.#connection = undefined;
    this.#ids.clear();
    connection?.close();
    if (connection) this.listener?.onHearing(false);
  }

  #connect(): Promise<void> {
    const opening = this.#tryToConnect().finally(() => {
      // Closed and opened again meanwhile, there is another.
      if (this.#opening === opening) this.#opening = undefined;
    });
    this.#opening = opening;
    return opening;
  }

  async #tryToConnect(): Promise<void> {
    let opened: Connection | undefined;
    let isLost = false;
    const events: NoticeEvents = {
      onMessage: (name, message) => this.#onMessage(name, message),
      onInvalidated: (id) => {
        // Before it hears, whatever was read is read again.
        if (this.#connection !== undefined && this.#connection === opened) this.#onInvalidated(id);
      },
      onLost: (reason) => {
        isLost = true;
        if (opened) this.#onLost(opened, reason);
      },
    };
    const opening = this.#open(events);
    try {
      opened = await within(this.#times.opening, opening);
      // Sessions that are watched while this waits are subscribed in the next round.
      const subscribed = new Set<string>();
      while (opened.hears === "channels") {
        const missing = [...this.#watched.keys()].filter((id) => !subscribed.has(id));
        if (missing.length === 0) break;
        const names = missing.map((id) => this.#nameOf(id));
        for (const [index, name] of names.entries()) this.#ids.set(name, missing[index] as string);
        await within(this.#times.opening, opened.subscribe(names));
        for (const id of missing) subscribed.add(id);
      }
      if (isLost) throw new Error("the connection was lost while it was opened");
      // Closed meanwhile, and perhaps opened again.
      if (!this.#isOpen || this.#connection) return opened.close();
      this.#connection = opened;
      this.#updating = new Map();
      for (const id of subscribed) if (!this.#watched.has(id)) this.#update(opened, id);
    } catch (error) {
      debug("cannot hear notices: %s", error);
      if (error instanceof Refusal) warnOnce("NOTICES_REFUSED", "", error.message);
      opening.then((late) => late.close()).catch(() => undefined);
      this.#failures++;
      this.#connectLater();
      return;
    }
    this.#failures = 0;
    this.#pingLater(opened);
    this.listener?.onHearing(true);
  }

  #onLost(connection: Connection, reason: unknown): void {
    if (this.#connection !== connection) return;
    debug("notices are not heard any more: %s", reason);
    this.#connection = undefined;
    this.#ids.clear();
    clearTimeout(this.#timer);
    connection.close();
    this.listener?.onHearing(false);
    this.#connectLater();
  }

  #connectLater(): void {
    if (!this.#isOpen || this.#connection) return;
    clearTimeout(this.#timer);
    const { shortestPause, longestPause } = this.#times;
    const pause = backoff(this.#failures, shortestPause, longestPause);
    this.#timer = setTimeout(() => void this.#connect(), pause).unref();
  }

  /** Notices when the server is gone without a word. */
  #pingLater(connection: Connection): void {
    const { heartbeat } = this.#times;
    this.#timer = setTimeout(() => {
      within(heartbeat, connection.ping()).then(
        () => {
          if (this.#connection === connection) this.#pingLater(connection);
        },
        (error: unknown) => this.#onLost(connection, error),
      );
    }, heartbeat).unref();
  }

  #onMessage(name: string, message: string): void {
    const id = this.#ids.get(name);
    const decoded = id !== undefined && this.#watched.has(id) ? this.#codec.decode(message) : undefined;
    if (id === undefined || !decoded) return;
    const { node, text, kind, write } = decoded;
    if (kind === undefined) this.listener?.onMessage(id, node, text);
    else this.listener?.onNotice(id, kind, write);
  }

  #onInvalidated(id: string | undefined): void {
    if (id === undefined) this.listener?.onHearing(true);
    if (id === undefined || !this.#watched.has(id)) return;
    this.#watched.set(id, true);
    this.listener?.onNotice(id, "changed");
  }
}

function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  return withTimeout(promise, ms, () => {
    throw new Error(`no answer within ${ms} ms`);
  });
}
