// What a browser asks over HTTP and sockets, and what it is answered: noted in the history, whatever comes of it.
// Chooses the node that is asked, and nothing else.
import { setTimeout as delay } from "node:timers/promises";
import { type Socket } from "socket.io-client";
import { Browser, connected, type Refused, transports } from "../support/browser.js";
import { openStream } from "../support/stream.js";
import type { History, Operation, Seen, SocketLife } from "./history.js";
import type { Place } from "./places.js";
import type { Random } from "./random.js";

/** How long it waits for an answer (ms). */
const patience = 5000;

/** A session as its browser knows it. */
export interface Known {
  readonly name: string;
  readonly cookies: ReadonlyMap<string, string>;
  /** Its end was asked for. */
  isEnding: boolean;
}

export interface OpenSocket {
  readonly socket: Pick<Socket, "disconnect" | "timeout">;
  readonly life: SocketLife;
  /** Nobody uses it. */
  readonly isSilent: boolean;
}

/** What is noted of a question before it is asked. */
type Question = Omit<Operation, "from" | "to" | "outcome" | "via" | "node">;

export class Client {
  /** Those that are open. */
  readonly sockets = new Set<OpenSocket>();
  readonly #history: History;
  readonly #places: readonly Place[];
  readonly #random: Random;

  constructor(history: History, places: readonly Place[], random: Random) {
    this.#history = history;
    this.#places = places;
    this.#random = random;
  }

  /** Asks over HTTP. The cookies that are sent are replaced by those of the answer. */
  async ask(
    question: Question,
    path: string,
    cookies: Map<string, string>,
    { body = {}, place = this.#place() }: { body?: object; place?: Place } = {},
  ): Promise<Operation> {
    const operation = this.#history.begin({ ...question, via: "http", node: place.name });
    const isRead = question.kind === "read";
    const headers = { "content-type": "application/json" };
    const init = isRead ? {} : { method: "POST", headers, body: JSON.stringify(body) };
    const browser = browserAt(place, cookies);
    try {
      const response = await browser.fetch(path, { ...init, signal: AbortSignal.timeout(patience) });
      const answer: unknown = response.ok ? await response.json() : undefined;
      if (isRead && response.ok) operation.seen = answer as Seen;
      for (const [name, value] of browser.cookies) cookies.set(name, value);
      if (question.kind === "login" && response.ok) this.#history.ids.set(question.session, browser.sessionId);
      this.#history.end(operation, response.ok ? "ok" : `${response.status}`);
    } catch (error) {
      this.#history.end(operation, (error as Error).name);
    }
    return operation;
  }

  /** Asks over a socket. */
  async emit(
    { socket, life }: OpenSocket,
    question: Omit<Question, "session">,
    event: string,
    ...values: unknown[]
  ): Promise<Operation> {
    const where = { via: "socket", session: life.session, node: life.node, socket: life.number } as const;
    const operation = this.#history.begin({ ...question, ...where });
    try {
      const answer: unknown = await socket.timeout(patience).emitWithAck(event, ...values);
      const isRead = question.kind === "read";
      if (isRead) operation.seen = answer as Seen;
      this.#history.end(operation, isRead || answer === "saved" ? "ok" : String(answer));
    } catch (error) {
      this.#history.end(operation, (error as Error).message);
    }
    return operation;
  }

  /** Opens a socket, or is refused; one that is not to `stay` is closed at once. */
  async connect(session: Known, isSilent: boolean, stays = true): Promise<void> {
    const history = this.#history;
    const place = this.#place();
    const life = history.openSocket(session.name, place.name);
    // A stream is as good, where nothing is asked over it.
    if (isSilent && this.#random.next() < 0.5) return this.#stream(browserAt(place, session.cookies), life, stays);
    const socket = browserAt(place, session.cookies).socket("/", { via: this.#random.pick(transports) });
    const open = { socket, life, isSilent };
    socket.on("session:end", ({ code }: Refused) => {
      life.told = code;
    });
    socket.on("disconnect", (reason) => {
      life.closed = history.now();
      life.reason = reason;
      this.sockets.delete(open);
    });
    const late = new AbortController();
    const gaveUp = delay(2 * patience, undefined, { signal: late.signal }).then(() => {
      throw new Error("no answer");
    });
    try {
      await Promise.race([connected(socket), gaveUp]);
      life.connected = history.now();
      // It may have been closed since.
      if (life.closed !== undefined) return;
      if (stays) return void this.sockets.add(open);
      life.isOwn = true;
      socket.disconnect();
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

  /** Opens a stream, or is refused, as {@link Client.connect} does with a socket. */
  async #stream(browser: Browser, life: SocketLife, stays: boolean): Promise<void> {
    const history = this.#history;
    const leaving = new AbortController();
    const gaveUp = setTimeout(() => leaving.abort(), 2 * patience);
    const over = (reason: string): void => {
      life.closed ??= history.now();
      life.reason = reason;
    };
    try {
      const stream = await openStream(browser, "/events", { signal: leaving.signal });
      const socket = { disconnect: stream.close, timeout: noTimeout } as unknown as OpenSocket["socket"];
      const open = { socket, life, isSilent: true };
      const ended = stream.next<Refused>("session:end").then(({ code }) => void (life.told = code));
      const closed = Promise.all([stream.over, ended.catch(() => undefined)]).then(([how]) => {
        over(how);
        this.sockets.delete(open);
      });
      if (stream.status !== 200) {
        await stream.over;
        life.told = (JSON.parse(stream.text()) as Refused).code;
        return;
      }
      // One that is refused, and may come back, is told its end at once.
      const isIn = await Promise.race([
        stream.next("session:view").then(
          () => true,
          () => false,
        ),
        closed,
      ]);
      if (isIn !== true) return;
      life.connected = history.now();
      if (life.closed !== undefined) return;
      if (stays) return void this.sockets.add(open);
      life.isOwn = true;
      stream.close();
    } catch (error) {
      over((error as Error).message);
    } finally {
      clearTimeout(gaveUp);
    }
  }

  /** A node that is up, if there is one. */
  #place(): Place {
    const up = this.#places.filter(({ node }) => node);
    return this.#random.pick(up.length > 0 ? up : this.#places);
  }
}

function noTimeout(): never {
  throw new Error("nothing is asked over a stream");
}

function browserAt(place: Place, cookies: ReadonlyMap<string, string>): Browser {
  const browser = new Browser(place.url);
  for (const [name, value] of cookies) browser.cookies.set(name, value);
  return browser;
}
