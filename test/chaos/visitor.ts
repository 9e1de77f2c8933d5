// A browser of a user in a run: logs in, writes, counts, reads, opens sockets, logs out, in an order that the seed
// chooses and by whichever node. Notes what it asked and what it was answered; judges nothing.
import { setTimeout as delay } from "node:timers/promises";
import { type Socket } from "socket.io-client";
import { Browser, connected, type Refused, transports } from "../support/browser.js";
import type { History, Operation, Seen, SocketLife } from "./history.js";
import type { Place } from "./places.js";
import type { Random } from "./random.js";

/** How long a client waits for an answer (ms). */
const patience = 5000;
const mostSockets = 3;
/** How long a session of one who sleeps lives (ms). */
const nap = 2000;
/** Fields that are written again and again; others are written once. */
const sharedKeys = ["color", "size"];

/** How often each is done; ends, as often as the user is restless. */
const actions = { put: 8, count: 6, read: 5, connect: 4, disconnect: 1, sleep: 0.4 };
const ends = { rotate: 0.6, logout: 0.6, "logout elsewhere": 0.2, haunt: 1 };

/** A session as its browser knows it. */
interface Known {
  readonly name: string;
  readonly cookies: ReadonlyMap<string, string>;
  isEnding: boolean;
}

interface OpenSocket {
  readonly socket: Socket;
  readonly life: SocketLife;
  /** Nobody uses it. */
  readonly isSilent: boolean;
}

export interface World {
  readonly history: History;
  readonly places: readonly Place[];
  readonly isOver: () => boolean;
}

export class Visitor {
  readonly #user: string;
  readonly #world: World;
  readonly #random: Random;
  readonly #actions: Readonly<Record<keyof typeof actions | keyof typeof ends, number>>;
  /** All browsers of the same user. */
  readonly #family: Visitor[];
  #session: Known | undefined;
  /** Those whose end was asked for. */
  readonly #past: Known[] = [];
  readonly #sockets = new Set<OpenSocket>();
  #writes = 0;

  /** `restlessness` is how readily the user logs out: 0 for never. */
  constructor(user: string, restlessness: number, family: Visitor[], world: World, random: Random) {
    this.#user = user;
    this.#world = world;
    this.#random = random;
    this.#family = family;
    family.push(this);
    const restless = Object.entries(ends).map(([name, weight]) => [name, weight * restlessness]);
    this.#actions = { ...actions, ...(Object.fromEntries(restless) as typeof ends) };
  }

  /** Lives until the world is over. */
  async live(): Promise<void> {
    while (!this.#world.isOver()) {
      if (!this.#session) await this.#login();
      // Side by side, so that they meet each other.
      await Promise.all(Array.from({ length: 1 + this.#random.below(4) }, () => this.#act()));
      await delay(this.#random.between(0, 150));
    }
  }

  /** Reads what should be there, and what should not, on each node. Answers how many could not be read. */
  async readAll(): Promise<number> {
    let failed = 0;
    for (const session of [...this.#past, ...(this.#session ? [this.#session] : [])]) {
      for (const place of this.#world.places) {
        const isRead = await this.#readHttp(session, place, true);
        if (!isRead) failed++;
      }
    }
    return failed;
  }

  /** Logs out, and waits until the server has closed all sockets, but not longer than it may take. */
  async leave(longest: number): Promise<void> {
    if (this.#session) await this.#logout(this.#session);
    const end = Date.now() + longest;
    while (this.#sockets.size > 0 && Date.now() < end) await delay(20);
    for (const { socket } of this.#sockets) socket.disconnect();
  }

  async #act(): Promise<void> {
    const session = this.#session;
    if (!session) return;
    const open = this.#random.pick([...[...this.#sockets].filter(({ isSilent }) => !isSilent), undefined]);
    switch (this.#random.weighted(this.#actions)) {
      case "put":
        return this.#put(session, open);
      case "count":
        return open ? this.#emit(open, { kind: "count" }, "count") : this.#post(session, { kind: "count" }, "/count");
      case "read":
        return open ? this.#readSocket(open) : void (await this.#readHttp(session, this.#place(), false));
      case "connect":
        return this.#sockets.size < mostSockets ? this.#connect(session, this.#random.next() < 0.2) : undefined;
      case "disconnect":
        if (open) {
          open.life.isOwn = true;
          open.socket.disconnect();
        }
        return;
      case "sleep":
        return this.#sleep();
      case "rotate":
        return session.isEnding ? undefined : this.#login(session);
      case "logout":
        return session.isEnding ? undefined : this.#logout(session);
      case "logout elsewhere":
        return session.isEnding ? undefined : this.#logoutElsewhere(session);
      case "haunt":
        // Writes to what is gone, as a request that was long under way would.
        return this.#past.length > 0 ? this.#put(this.#random.pick(this.#past), undefined) : undefined;
    }
  }

  // --- beginnings and ends: asked again until they are answered ---

  /** Logs in, in place of the session that there is. */
  async #login(before?: Known): Promise<void> {
    if (before) this.#letGo(before);
    const session = await this.#open(before);
    if (session) this.#session = session;
  }

  async #open(before: Known | undefined, maxAge?: number): Promise<Known | undefined> {
    const { history } = this.#world;
    const fields = { user: this.#user, ...(maxAge !== undefined && { maxAge }) };
    let session: Known | undefined;
    await this.#insist(async (place) => {
      const name = history.nameSession(this.#user);
      const browser = browserAt(place, before?.cookies);
      const what = { kind: "login", session: name, ...(before && { ends: [before.name] }) } as const;
      const operation = this.#begin({ ...what, ...(maxAge !== undefined && { maxAge }) }, place);
      const isOk = await this.#ask(operation, browser, "/login", fields);
      if (isOk) session = { name, cookies: new Map(browser.cookies), isEnding: false };
      return isOk;
    });
    return session;
  }

  async #logout(session: Known): Promise<void> {
    this.#letGo(session);
    await this.#insist((place) => {
      const operation = this.#begin({ kind: "logout", session: session.name, ends: [session.name] }, place);
      return this.#ask(operation, browserAt(place, session.cookies), "/logout");
    });
    if (this.#session === session) this.#session = undefined;
  }

  async #logoutElsewhere(session: Known): Promise<void> {
    const others = this.#family.filter((one) => one !== this);
    const those = others.flatMap((other) => {
      const known = other.#session;
      if (!known) return [];
      if (!known.isEnding) other.#letGo(known);
      if (other.#session === known) other.#session = undefined;
      return [known.name];
    });
    await this.#insist((place) => {
      const operation = this.#begin({ kind: "logout elsewhere", session: session.name, ends: those }, place);
      return this.#ask(operation, browserAt(place, session.cookies), "/logout-elsewhere");
    }, 10);
  }

  #letGo(session: Known): void {
    session.isEnding = true;
    this.#past.push(session);
  }

  /** Asks node after node until one agrees; `mostTimes`, because who asks may be logged out. */
  async #insist(ask: (place: Place) => Promise<boolean>, mostTimes = Number.POSITIVE_INFINITY): Promise<void> {
    for (let times = 1; ; times++) {
      const isDone = await ask(this.#place());
      if (isDone || this.#world.isOver() || times >= mostTimes) return;
      await delay(this.#random.between(50, 300));
    }
  }

  /** A session of its own, which expires soon, sometimes with a socket that nobody uses. */
  async #sleep(): Promise<void> {
    const session = await this.#open(undefined, nap);
    if (session) await this.#connect(session, this.#random.next() < 0.7);
  }

  // --- what is written and read ---

  #put(session: Known, open: OpenSocket | undefined): Promise<void> {
    const value = ++this.#writes;
    const key = this.#random.next() < 0.3 ? this.#random.pick(sharedKeys) : `k${value}`;
    const what = { kind: "put", key, value } as const;
    return open ? this.#emit(open, what, "put", key, value) : this.#post(session, what, "/put", { key, value });
  }

  async #post(
    session: Known,
    what: Pick<Operation, "kind" | "key" | "value">,
    path: string,
    body?: object,
  ): Promise<void> {
    const place = this.#place();
    await this.#ask(
      this.#begin({ ...what, session: session.name }, place),
      browserAt(place, session.cookies),
      path,
      body,
    );
  }

  async #readHttp(session: Known, place: Place, isFinal: boolean): Promise<boolean> {
    const operation = this.#begin({ kind: "read", session: session.name, isFinal }, place);
    const isRead = await this.#ask(operation, browserAt(place, session.cookies), "/session");
    if (isRead && operation.seen?.user === undefined && !session.isEnding) {
      // Logged out: by another browser of the user, or else the model will tell.
      this.#letGo(session);
      if (this.#session === session) this.#session = undefined;
    }
    return isRead;
  }

  async #ask(operation: Operation, browser: Browser, path: string, body: object = {}): Promise<boolean> {
    const { history } = this.#world;
    const isRead = operation.kind === "read";
    const headers = { "content-type": "application/json" };
    const init = isRead ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    try {
      const response = await browser.fetch(path, { ...init, signal: AbortSignal.timeout(patience) });
      const answer: unknown = response.ok ? await response.json() : undefined;
      if (isRead && response.ok) operation.seen = answer as Seen;
      history.end(operation, response.ok ? "ok" : `${response.status}`);
      return response.ok;
    } catch (error) {
      history.end(operation, (error as Error).name);
      return false;
    }
  }

  #begin(what: Omit<Operation, "from" | "to" | "outcome" | "via" | "node">, place: Place): Operation {
    return this.#world.history.begin({ ...what, via: "http", node: place.name });
  }

  // --- sockets ---

  async #connect(session: Known, isSilent: boolean): Promise<void> {
    const { history } = this.#world;
    const place = this.#place();
    const life = history.openSocket(session.name, place.name);
    const socket = browserAt(place, session.cookies).socket("/", { via: this.#random.pick(transports) });
    const open = { socket, life, isSilent };
    socket.on("session:end", ({ code }: Refused) => {
      life.told = code;
    });
    socket.on("disconnect", (reason) => {
      life.closed = history.now();
      life.reason = reason;
      this.#sockets.delete(open);
    });
    const late = new AbortController();
    const gaveUp = delay(2 * patience, undefined, { signal: late.signal }).then(() => {
      throw new Error("no answer");
    });
    try {
      await Promise.race([connected(socket), gaveUp]);
      life.connected = history.now();
      // It may have been closed since.
      if (life.closed === undefined) this.#sockets.add(open);
    } catch (error) {
      const { data, message } = error as Error & { data?: Refused };
      if (data) life.told = data.code;
      life.closed = history.now();
      life.reason = message;
      socket.disconnect();
    } finally {
      late.abort();
      gaveUp.catch(() => undefined);
    }
  }

  async #readSocket(open: OpenSocket): Promise<void> {
    await this.#emit(open, { kind: "read" }, "get");
  }

  async #emit(
    { socket, life }: OpenSocket,
    what: Pick<Operation, "kind" | "key" | "value">,
    event: string,
    ...values: unknown[]
  ): Promise<void> {
    const { history } = this.#world;
    const place = { via: "socket", session: life.session, node: life.node, socket: life.number } as const;
    const operation = history.begin({ ...what, ...place });
    try {
      const answer: unknown = await socket.timeout(patience).emitWithAck(event, ...values);
      if (what.kind === "read") operation.seen = answer as Seen;
      history.end(operation, what.kind === "read" || answer === "saved" ? "ok" : String(answer));
    } catch (error) {
      history.end(operation, (error as Error).message);
    }
  }

  /** A node that is up, if there is one. */
  #place(): Place {
    const { places } = this.#world;
    const up = places.filter(({ node }) => node);
    return this.#random.pick(up.length > 0 ? up : places);
  }
}

function browserAt(place: Place, cookies: ReadonlyMap<string, string> = new Map()): Browser {
  const browser = new Browser(place.url);
  for (const [name, value] of cookies) browser.cookies.set(name, value);
  return browser;
}
