// A browser of a user in a run: logs in, writes, counts, reads, opens sockets, logs out, in an order that the seed
// chooses. Knows neither the nodes nor what it is answered: the client asks, the model judges.
import { setTimeout as delay } from "node:timers/promises";
import { Client, type Known, type OpenSocket } from "./client.js";
import type { History, Operation } from "./history.js";
import type { Place } from "./places.js";
import type { Random } from "./random.js";

const mostSockets = 3;
/** How long a session of one who sleeps lives (ms). */
const nap = 2000;
/** Of how many sessions that ended last it still uses the cookie. */
const mostHaunted = 6;
/** Fields that are written again and again; others are written once. */
const sharedKeys = ["color", "size"];

/** How often each is done; ends, as often as the user is restless. */
const actions = { put: 8, delete: 3, count: 6, read: 5, connect: 4, disconnect: 1, sleep: 0.4 };
const ends = { rotate: 0.6, logout: 0.6, "logout elsewhere": 0.2, forbid: 0.3, haunt: 1 };

export interface World {
  readonly history: History;
  readonly places: readonly Place[];
  readonly isOver: () => boolean;
}

export class Visitor {
  readonly #user: string;
  readonly #world: World;
  readonly #client: Client;
  readonly #random: Random;
  readonly #actions: Readonly<Record<keyof typeof actions | keyof typeof ends, number>>;
  /** All browsers of the same user. */
  readonly #family: Visitor[];
  #session: Known | undefined;
  /** Those whose end was asked for. */
  readonly #past: Known[] = [];
  #writes = 0;
  /** Fields that were stored, and nobody has deleted yet. */
  readonly #stored: { readonly session: string; readonly key: string }[] = [];

  /** `restlessness` is how readily the user logs out: 0 for never. */
  constructor(user: string, restlessness: number, family: Visitor[], world: World, random: Random) {
    this.#user = user;
    this.#world = world;
    this.#client = new Client(world.history, world.places, random);
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
        const isRead = await this.#read(session, place);
        if (!isRead) failed++;
      }
    }
    return failed;
  }

  /** Logs out, and waits until the server has closed all sockets, but not longer than it may take. */
  async leave(longest: number): Promise<void> {
    if (this.#session) await this.#logout(this.#session);
    const end = Date.now() + longest;
    while (this.#client.sockets.size > 0 && Date.now() < end) await delay(20);
    for (const { socket } of this.#client.sockets) socket.disconnect();
  }

  async #act(): Promise<void> {
    const session = this.#session;
    const client = this.#client;
    if (!session) return;
    const open = this.#random.pick([...[...client.sockets].filter(({ isSilent }) => !isSilent), undefined]);
    switch (this.#random.weighted(this.#actions)) {
      case "put":
        return this.#put(session, open);
      case "count":
        return this.#count(session, open);
      case "delete":
        return this.#delete(session, open);
      case "read":
        return open ? void (await client.emit(open, { kind: "read" }, "get")) : void (await this.#read(session));
      case "connect":
        return client.sockets.size < mostSockets ? client.connect(session, this.#random.next() < 0.2) : undefined;
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
      case "forbid":
        return session.isEnding ? undefined : this.#forbid(session);
      case "haunt":
        return this.#haunt();
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
    const life = maxAge !== undefined && { maxAge };
    let session: Known | undefined;
    await this.#insist(async () => {
      const name = this.#world.history.nameSession(this.#user);
      const question = { kind: "login", session: name, ...(before && { ends: [before.name] }), ...life } as const;
      const cookies = new Map(before?.cookies);
      const answer = await this.#client.ask(question, "/login", cookies, { body: { user: this.#user, ...life } });
      if (answer.outcome === "ok") session = { name, cookies, isEnding: false };
      return answer;
    });
    return session;
  }

  async #logout(session: Known): Promise<void> {
    this.#letGo(session);
    const question = { kind: "logout", session: session.name, ends: [session.name] } as const;
    await this.#insist(() => this.#client.ask(question, "/logout", new Map(session.cookies)));
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
    const question = { kind: "logout elsewhere", session: session.name, ends: those } as const;
    await this.#insist(() => this.#client.ask(question, "/logout-elsewhere", new Map(session.cookies)), 10);
  }

  /** Keeps the session, but makes it one whose sockets are not allowed, as a logout does that only empties it. */
  async #forbid(session: Known): Promise<void> {
    this.#letGo(session);
    const question = { kind: "forbid", session: session.name } as const;
    await this.#insist(() => this.#client.ask(question, "/forbid", new Map(session.cookies)));
    if (this.#session === session) this.#session = undefined;
  }

  #letGo(session: Known): void {
    session.isEnding = true;
    this.#past.push(session);
  }

  /** Asks until it is answered; `mostTimes`, because who asks may be logged out. */
  async #insist(ask: () => Promise<Operation>, mostTimes = Number.POSITIVE_INFINITY): Promise<void> {
    for (let times = 1; ; times++) {
      const { outcome } = await ask();
      if (outcome === "ok" || this.#world.isOver() || times >= mostTimes) return;
      await delay(this.#random.between(50, 300));
    }
  }

  /** A session of its own, which expires soon, sometimes with a socket that nobody uses. */
  async #sleep(): Promise<void> {
    const session = await this.#open(undefined, nap);
    if (session) await this.#client.connect(session, this.#random.next() < 0.7);
  }

  // --- what is written and read ---

  async #put(session: Known, open: OpenSocket | undefined): Promise<void> {
    const value = ++this.#writes;
    const key = this.#random.next() < 0.3 ? this.#random.pick(sharedKeys) : `k${value}`;
    const what = { kind: "put", key, value } as const;
    const { outcome } = open
      ? await this.#client.emit(open, what, "put", key, value)
      : await this.#post(session, what, "/put", { key, value });
    const of = open?.life.session ?? session.name;
    if (outcome === "ok" && !sharedKeys.includes(key)) this.#stored.push({ session: of, key });
  }

  /** Deletes what was stored. */
  async #delete(session: Known, open: OpenSocket | undefined): Promise<void> {
    const of = open?.life.session ?? session.name;
    const those = this.#stored.filter((one) => one.session === of);
    if (those.length === 0) return;
    const one = this.#random.pick(those);
    this.#stored.splice(this.#stored.indexOf(one), 1);
    const { key } = one;
    const what = { kind: "delete", key } as const;
    if (open) await this.#client.emit(open, what, "delete", key);
    else await this.#post(session, what, "/delete", { key });
  }

  async #count(session: Known, open: OpenSocket | undefined): Promise<void> {
    const value = ++this.#writes;
    const what = { kind: "count", value } as const;
    if (open) await this.#client.emit(open, what, "count", value);
    else await this.#post(session, what, "/count", { mark: value });
  }

  /** Comes with the cookie of a session that is gone, as a request that was long under way would. */
  async #haunt(): Promise<void> {
    if (this.#past.length === 0) return;
    const session = this.#random.pick(this.#past.slice(-mostHaunted));
    switch (this.#random.below(3)) {
      case 0:
        return this.#put(session, undefined);
      case 1:
        return void (await this.#read(session));
      default:
        return this.#client.connect(session, true, false);
    }
  }

  #post(session: Known, what: Pick<Operation, "kind" | "key" | "value">, path: string, body = {}): Promise<Operation> {
    return this.#client.ask({ ...what, session: session.name }, path, new Map(session.cookies), { body });
  }

  /** Reads over HTTP; from a given place when all is over. Answers whether it could. */
  async #read(session: Known, place?: Place): Promise<boolean> {
    const question = { kind: "read", session: session.name, isFinal: place !== undefined } as const;
    const { outcome, seen } = await this.#client.ask(
      question,
      "/session",
      new Map(session.cookies),
      place && { place },
    );
    if (seen && seen.user === undefined && !session.isEnding) {
      // Logged out: by another browser of the user, or else the model will tell.
      this.#letGo(session);
      if (this.#session === session) this.#session = undefined;
    }
    return outcome === "ok";
  }
}
