// Random sequences against a model: no write lost, no dead session back, nobody stays who is not allowed, the store's
// state is the model's.
import fc from "fast-check";
import session, { type SessionData } from "express-session";
import { afterEach, describe, expect, test, vi } from "vitest";
import type { Driver } from "../../src/store/drivers/driver.js";
import { Registry } from "../../src/session/registry.js";
import type { Connection } from "../../src/session/connections.js";
import type { ActiveSession } from "../../src/session/live-session.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import type { SessionStream } from "../../src/index.js";
import { startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { late } from "../support/stores.js";
import { type ClientStream, openStream } from "../support/stream.js";

type Data = Record<string, any> & { cookie: session.Cookie };

// --- every interleaving: the store and the live layer, storage commands in an order that the test chooses ---

function scheduled(driver: Driver, scheduler: fc.Scheduler): Driver {
  return new Proxy(driver, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function" || key === "close")
        return typeof value === "function" ? value.bind(target) : value;
      return async (...values: unknown[]) => {
        await scheduler.schedule(Promise.resolve(), String(key));
        return value.apply(target, values) as unknown;
      };
    },
  });
}

type Step =
  | { do: "http" | "socket" | "update" | "push" | "forbid" | "allow"; slot: number }
  | { do: "connect" | "disconnect" | "destroy" | "regenerate" | "expire" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom("http", "socket", "update", "push"), slot: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("connect", "disconnect") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("destroy", "regenerate", "expire") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("forbid", "allow"), slot: fc.nat(3) }) },
) as fc.Arbitrary<Step>;

describe("the store and the live sessions, in every order of storage commands", () => {
  afterEach(() => vi.useRealTimers());

  test("no write is lost and no dead session comes back", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.array(step, { minLength: 3, maxLength: 25 }), async (scheduler, steps) => {
        vi.useFakeTimers({ toFake: ["Date"], now: 1_700_000_000_000 });
        const store = new LiveStore(scheduled(new MemoryDriver(), scheduler));
        session({ secret: "s", resave: false, saveUninitialized: false, store, cookie: { maxAge: 60_000 } });
        const registry = new Registry(
          backendOf(store),
          { lease: 30_000, maxStale: 300_000, maxUnsaved: 10_000 },
          quiet,
        );
        registry.reviews.isUsed = true;
        const run = new Run(store, registry);
        const work: Promise<void>[] = [];
        for (const [index, one] of steps.entries()) {
          work.push(run.step(one, `k${index}`));
          // Sometimes let one storage command through before the next step starts.
          if (index % 3 === 0 && scheduler.count() > 0) await scheduler.waitOne();
          else await new Promise(setImmediate);
        }
        const all = Promise.all(work).then(() => run.settle());
        await Promise.all([scheduler.waitFor(all), all]);
        const check = run.check();
        await Promise.all([scheduler.waitFor(check), check]);
        const closing = registry.close();
        await Promise.all([scheduler.waitFor(closing), closing]);
        store.close();
      }),
      { numRuns: 300 },
    );
  });
});

const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => true };

interface Tab {
  live: ActiveSession;
  connection: Connection;
  isOpen: boolean;
  told: string | undefined;
}

/** What an `allow` says here. */
function isAllowed(data: object): boolean {
  return (data as Data)["isForbidden"] !== true;
}

/** One browser: what it does, and what the model says of the result. */
class Run {
  readonly #store: LiveStore;
  readonly #registry: Registry;
  readonly #request = {} as { sessionID: string; session: Data; sessionStore: LiveStore };
  #created: Promise<void>;
  readonly #kept = new Set<string>();
  #count = 0;
  #forbids = 0;
  #isEnded = false;
  readonly #tabs: Tab[] = [];
  readonly #id: string;

  constructor(store: LiveStore, registry: Registry) {
    this.#store = store;
    this.#registry = registry;
    this.#request.sessionStore = store;
    (store as unknown as { generate(request: object): void }).generate(this.#request);
    this.#id = this.#request.sessionID;
    this.#request.session["nested"] = {};
    this.#created = this.#write(this.#request.session);
  }

  async step(one: Step, key: string): Promise<void> {
    await this.#created;
    switch (one.do) {
      case "http": {
        const data = await this.#load();
        if (!data) return this.#assertEnded();
        const isLate = this.#isEnded;
        data["nested"][key] = 1;
        data[`http${one.slot}`] = key;
        await this.#write(data);
        return this.#wrote(key, isLate);
      }
      case "socket": {
        const tab = this.#tabs[one.slot % (this.#tabs.length || 1)];
        if (!tab?.isOpen || (await tab.live.beforeEvent()) !== true) return;
        (tab.live.data as Data)["nested"][key] = 1;
        await this.#settled(tab.live.save(), key);
        return;
      }
      case "push": {
        // A plain assignment, saved by itself.
        const tab = this.#tabs[one.slot % (this.#tabs.length || 1)];
        if (!tab?.isOpen || (await tab.live.beforeEvent()) !== true) return;
        (tab.live.data as Data)["nested"][key] = 1;
        if (!tab.live.ended) this.#kept.add(key);
        return;
      }
      case "update":
        await this.#settled(
          backendOf(this.#store).update(this.#id, (data) => {
            (data as Data)["count"] = ((data as Data)["count"] ?? 0) + 1;
          }),
          undefined,
          () => this.#count++,
        );
        return;
      case "connect": {
        const tab: Tab = {
          isOpen: true,
          told: undefined,
          live: undefined as unknown as ActiveSession,
          connection: {
            end({ code }) {
              tab.isOpen = false;
              tab.told = code;
            },
            mayStay: isAllowed,
          },
        };
        try {
          tab.live = await this.#registry.acquire(this.#id, tab.connection);
          if (isAllowed(tab.live.data)) this.#tabs.push(tab);
          else {
            expect(this.#forbids).toBeGreaterThan(0);
            tab.live.remove(tab.connection);
          }
        } catch {
          this.#assertEnded();
        }
        return;
      }
      case "forbid":
      case "allow":
        return this.#setAllowed(one.do === "allow", this.#tabs[one.slot]);
      case "disconnect": {
        const tab = this.#tabs.pop();
        tab?.live.remove(tab.connection);
        return;
      }
      case "destroy":
        this.#isEnded = true;
        return backendOf(this.#store).end(this.#id, "SESSION_DESTROYED");
      case "regenerate": {
        const data = await this.#load();
        if (!data) return;
        this.#isEnded = true;
        return new Promise((resolve) => data.regenerate(() => resolve()));
      }
      case "expire":
        this.#isEnded = true;
        vi.setSystemTime(Date.now() + 3_600_000);
        return;
    }
  }

  /** By a handler, or by the store. */
  async #setAllowed(isToBeAllowed: boolean, tab: Tab | undefined): Promise<void> {
    if (!isToBeAllowed) this.#forbids++;
    if (tab?.isOpen && (await tab.live.beforeEvent()) === true) {
      (tab.live.data as Data)["isForbidden"] = !isToBeAllowed;
      await tab.live.save().catch(() => this.#assertEnded());
    } else {
      const change = (data: object): void => void ((data as Data)["isForbidden"] = !isToBeAllowed);
      await this.#settled(backendOf(this.#store).update(this.#id, change), undefined);
    }
  }

  async settle(): Promise<void> {
    for (const { live } of this.#tabs) if (!live.ended) await live.save().catch(() => undefined);
    // What disconnected tabs left behind is saved, too.
    await new Promise(setImmediate);
    await this.#registry.flush(this.#id)?.catch(() => undefined);
  }

  async check(): Promise<void> {
    const stored = await backendOf(this.#store).read(this.#id, (text) => text && (JSON.parse(text) as Data));
    if (this.#isEnded) {
      expect(stored).toBeUndefined();
      return;
    }
    expect(stored).toBeTruthy();
    expect(Object.keys((stored as Data)["nested"]).toSorted()).toEqual([...this.#kept].toSorted());
    expect((stored as Data)["count"] ?? 0).toBe(this.#count);
    const mayBeOpen = isAllowed(stored as Data);
    for (const { live, isOpen, told } of this.#tabs) {
      // Those that were closed while it was forbidden for a while have gone.
      expect(isOpen ? mayBeOpen : this.#forbids > 0).toBe(true);
      expect(told).toBe(isOpen ? undefined : "SESSION_FORBIDDEN");
      if (!isOpen) continue;
      expect(JSON.parse(JSON.stringify((live.data as Data)["nested"]))).toEqual((stored as Data)["nested"]);
    }
  }

  #assertEnded(): void {
    expect(this.#isEnded).toBe(true);
  }

  #wrote(key: string, isLate: boolean): void {
    if (!isLate || !this.#isEnded) this.#kept.add(key);
  }

  async #settled(operation: Promise<unknown>, key: string | undefined, done?: () => void): Promise<void> {
    try {
      await operation;
      if (key) this.#kept.add(key);
      done?.();
    } catch {
      this.#assertEnded();
    }
  }

  async #load(): Promise<(Data & session.Session) | undefined> {
    const data = await new Promise<SessionData | null | undefined>((resolve) =>
      this.#store.get(this.#id, (_, found) => resolve(found)),
    );
    if (!data) return undefined;
    const request = { sessionID: this.#id, sessionStore: this.#store };
    return this.#store.createSession(request as never, data) as Data & session.Session;
  }

  #write(data: Data): Promise<void> {
    return new Promise((resolve, reject) =>
      this.#store.set(this.#id, data, (error) => (error ? reject(error as Error) : resolve())),
    );
  }
}

// --- real clients over a real port: two sockets and a stream ---

type Move = "http" | "socket" | "stream" | "save" | "update" | "updateHttp" | "reconnect";
type Ending = "none" | "forget" | "logout" | "destroy" | "regenerate" | "expire" | "clear";

/** With what code streams end. */
const codes: { readonly [Name in Exclude<Ending, "none">]: string } = {
  forget: "SESSION_FORBIDDEN",
  logout: "SESSION_DESTROYED",
  destroy: "SESSION_DESTROYED",
  regenerate: "SESSION_ROTATED",
  expire: "SESSION_EXPIRED",
  clear: "SESSION_DESTROYED",
};

test("real browsers and sockets: the store's final state is the model's", { timeout: 120_000 }, async () => {
  const allow = ({ user }: { user?: string }): boolean => typeof user === "string";
  let stream: SessionStream | undefined;
  const app = await startApp({
    sessions: { store: new LiveStore(late(new MemoryDriver(), 2)) },
    attach: { allow },
    setup({ app, io, sessions }) {
      app.get("/events", (req, res) => void (stream = sessions.stream(req, res, { allow }).open()));
      app.post("/key/:key", (req, res) => {
        (req.session as unknown as Data)[req.params.key] = 1;
        res.json({});
      });
      app.post("/update", async (req, res) => {
        await sessions.update(req, (data) => (data.count = (data.count ?? 0) + 1)).catch(() => undefined);
        res.json({});
      });
      app.post("/regenerate", (req, res, fail) => {
        req.session.regenerate((error) => {
          if (error) return fail(error);
          req.session.user = "again";
          res.json({});
        });
      });
      app.get("/id", (req, res) => void res.json({ id: req.sessionID }));
      app.post("/by-stream/:key", (req, res) => {
        if (stream?.signal.aborted === false) (stream.session as unknown as Data)[req.params.key] = 1;
        res.json({});
      });
      io.on("connection", (socket) => {
        const data = socket.session as unknown as Data & { save(): Promise<void> };
        socket.on("write", (key: string, done) => {
          data[key] = 1;
          done();
        });
        socket.on("save", async (key: string, done) => {
          data[key] = 1;
          await data.save().catch(() => undefined);
          done();
        });
        socket.on("update", async (done) => {
          await sessions.update(socket, (stored) => (stored.count = (stored.count ?? 0) + 1)).catch(() => undefined);
          done();
        });
      });
    },
  });
  const round = fc.record({
    moves: fc.array(fc.constantFrom<Move>("http", "socket", "stream", "save", "update", "updateHttp", "reconnect"), {
      maxLength: 8,
    }),
    ending: fc.constantFrom<Ending>(
      "none",
      "none",
      "none",
      "forget",
      "logout",
      "destroy",
      "regenerate",
      "expire",
      "clear",
    ),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(round, { minLength: 1, maxLength: 4 }), async (rounds) => {
      const ada = await app.login();
      let [tabs, client] = await open(ada);
      let expected: Record<string, unknown> = { user: "ada" };
      let key = 0;
      for (const { moves, ending } of rounds) {
        const { id } = await ada.get<{ id: string }>("/id");
        const { cookie } = ada;
        const old = { method: "POST", headers: { cookie } };
        const emit = (tab: (typeof tabs)[number] | undefined, ...values: unknown[]): Promise<unknown> =>
          (tab as NonNullable<typeof tab>)
            .timeout(5000)
            .emitWithAck(...(values as [string]))
            .catch(() => undefined);
        const work = moves.map(async (move, index) => {
          const name = `k${key++}`;
          const tab = tabs[index % 2];
          if (move === "reconnect") {
            tab?.disconnect();
            tabs[index % 2] = await ada.connect("/", { extraHeaders: { cookie } }).catch(() => tab as never);
            return;
          }
          if (move === "http") await whole(fetch(`${ada.url}/key/${name}`, old));
          else if (move === "stream") await whole(fetch(`${ada.url}/by-stream/${name}`, old));
          else if (move === "updateHttp") await whole(fetch(`${ada.url}/update`, old));
          else if (!tab?.connected) return;
          else if (move === "update") await emit(tab, "update");
          else await emit(tab, move === "save" ? "save" : "write", name);
          if (move === "update" || move === "updateHttp") expected["count"] = ((expected["count"] as number) ?? 0) + 1;
          else expected[name] = 1;
        });
        if (ending === "none") {
          // A tab that is reconnected meanwhile may take its last event with it: only what was acknowledged counts.
          await Promise.all(work);
          const stored = await ada.get("/session");
          if (moves.includes("reconnect")) expect(stored).toMatchObject(only(expected, stored));
          else expect(stored).toEqual(expected);
          expected = stored;
          // The stream is there all the time, with the same data.
          const { cookie: _, ...streamed } = JSON.parse(JSON.stringify((stream as SessionStream).session)) as Data;
          expect(streamed).toEqual(stored);
          expect(client.events.map(({ event }) => event)).toEqual(["session:view"]);
          continue;
        }
        if (ending === "forget") {
          // As by a logout that only empties the session.
          await Promise.all([...work, ada.post("/set", { user: null })]);
          await expect.poll(() => tabs.some((tab) => tab.connected)).toBe(false);
          await isEnded(client, ending);
          const stored = await ada.get("/session");
          expect(stored).toMatchObject(only({ ...expected, user: null }, stored));
          expect(await ada.refused()).toMatchObject({ code: "SESSION_FORBIDDEN" });
          await ada.post("/login", { user: "ada" });
          expected = { ...stored, user: "ada" };
          [tabs, client] = await open(ada);
          continue;
        }
        const ended =
          ending === "logout"
            ? whole(fetch(`${ada.url}/logout`, old))
            : ending === "destroy"
              ? app.sessions.destroy(id)
              : ending === "regenerate"
                ? ada.post("/regenerate")
                : ending === "expire"
                  ? backendOf(app.sessions.store).end(id, "SESSION_EXPIRED")
                  : new Promise((resolve) => app.sessions.store.clear(resolve));
        await Promise.all([...work, ended]);
        expect(await backendOf(app.sessions.store).read(id, (text) => text)).toBeUndefined();
        expect(app.sessions.get(id)).toBeUndefined();
        await expect.poll(() => tabs.some((tab) => tab.connected)).toBe(false);
        await isEnded(client, ending);
        if (ending === "regenerate") expect(await ada.get("/session")).toEqual({ user: "again" });
        else await ada.post("/login", { user: "ada" });
        expected = { user: ending === "regenerate" ? "again" : "ada" };
        [tabs, client] = await open(ada);
      }
      client.close();
      ada.close();
    }),
    { numRuns: 40 },
  );
});

/** Opens a browser's sockets and its stream. */
function open(ada: Browser): Promise<[Awaited<ReturnType<Browser["connect"]>>[], ClientStream]> {
  const tabs = Promise.all([ada.connect(), ada.connect("/", { via: "polling" })]);
  return Promise.all([tabs, openStream(ada)]);
}

async function isEnded(client: ClientStream, ending: keyof typeof codes): Promise<void> {
  expect(await client.over).toBe("complete");
  const code = codes[ending];
  expect(JSON.parse(client.events.at(-1)?.data ?? "null")).toEqual({ code, retry: code === "SESSION_ROTATED" });
}

/** express-session sends the headers before it has saved, and the last byte after. */
async function whole(response: Promise<Response>): Promise<void> {
  await (await response).text();
}

/** The counter is left out where an update may have been cut off before its answer. */
function only(expected: Record<string, unknown>, stored: Record<string, unknown>): Record<string, unknown> {
  const { count: _, ...rest } = expected;
  return Object.fromEntries(Object.entries(rest).filter(([name]) => name in stored || !name.startsWith("k")));
}
