// Stores that are late, or do not answer: wrapped around the real ones.
import { setTimeout as delay } from "node:timers/promises";
import session, { type SessionData } from "express-session";
import { type Driver } from "../../src/store/drivers/driver.js";

type Done = (error?: unknown, value?: unknown) => void;

/** Any driver, `ms` later. */
export function late(driver: Driver, ms: number): Driver {
  return new Proxy(driver, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      if (key === "close") return value.bind(target);
      return async (...values: unknown[]) => {
        await delay(ms / 2);
        const result: unknown = await value.apply(target, values);
        await delay(ms / 2);
        return result;
      };
    },
  });
}

/** express-session's own MemoryStore behind a line that can be slow, broken or dead; counts what it is asked. */
export class LineStore extends session.Store {
  readonly inner = new session.MemoryStore();
  /** "fails" answers with an error, "hangs" does not answer at all, "waits" answers all when it is told to. */
  state: "up" | "fails" | "hangs" | "waits" = "up";
  latency = 0;
  readonly asked = { get: 0, set: 0, touch: 0, destroy: 0 };
  readonly #waiting: (() => void)[] = [];

  /** It is up again, and answers what it was asked while it waited. */
  answerAll(): void {
    this.state = "up";
    for (const answer of this.#waiting.splice(0)) answer();
  }

  #ask(name: keyof LineStore["asked"], run: (done: Done) => void, done: Done): void {
    this.asked[name]++;
    if (this.state === "hangs") return;
    if (this.state === "waits") {
      this.#waiting.push(() => run(done));
      return;
    }
    if (this.state === "fails") {
      setImmediate(done, new Error("connection refused"));
      return;
    }
    if (this.latency > 0) setTimeout(() => run(done), this.latency);
    else run(done);
  }

  override get(id: string, done: (error: unknown, data?: SessionData | null) => void): void {
    this.#ask("get", (reply) => this.inner.get(id, reply as never), done as Done);
  }

  override set(id: string, data: SessionData, done: Done = () => {}): void {
    this.#ask("set", (reply) => this.inner.set(id, data, reply), done);
  }

  override touch(id: string, data: SessionData, done: Done = () => {}): void {
    this.#ask("touch", (reply) => this.inner.touch(id, data, reply as () => void), done);
  }

  override destroy(id: string, done: Done = () => {}): void {
    this.#ask("destroy", (reply) => this.inner.destroy(id, reply), done);
  }

  override all(done: (error: unknown, sessions?: never) => void): void {
    this.inner.all(done as never);
  }

  override length(done: (error: unknown, length?: number) => void): void {
    this.inner.length(done as never);
  }

  override clear(done: Done = () => {}): void {
    this.inner.clear(done);
  }
}

/**
 * As connect-session-sequelize and connect-loki: a touch moves a column beside the data, and what is over is handed out
 * until a sweep deletes it.
 */
export class SweptStore extends session.Store {
  readonly rows = new Map<string, { data: string; expires: Date }>();

  override get(id: string, done: (error: unknown, data?: SessionData | null) => void): void {
    const row = this.rows.get(id);
    setImmediate(done, null, row ? JSON.parse(row.data) : null);
  }

  override set(id: string, data: SessionData, done: Done = () => {}): void {
    this.rows.set(id, { data: JSON.stringify(data), expires: data.cookie.expires as Date });
    setImmediate(done);
  }

  override touch(id: string, data: SessionData, done: Done = () => {}): void {
    const row = this.rows.get(id);
    if (row) row.expires = data.cookie.expires as Date;
    setImmediate(done);
  }

  override destroy(id: string, done: Done = () => {}): void {
    this.rows.delete(id);
    setImmediate(done);
  }

  override all(done: (error: unknown, sessions?: SessionData[]) => void): void {
    setImmediate(
      done,
      null,
      [...this.rows].map(([id, { data }]) => ({ ...(JSON.parse(data) as SessionData), id })),
    );
  }
}

/** As connect-mongo with `touchAfter`: what it returns has a field of its own, which its touch needs as it was. */
export class AttachingStore extends session.Store {
  readonly documents = new Map<string, { session: string; lastModified: Date; expires: Date }>();
  readonly touchedWith: unknown[] = [];

  override get(id: string, done: (error: unknown, data?: SessionData | null) => void): void {
    const found = this.documents.get(id);
    const { lastModified, expires } = found ?? {};
    setImmediate(
      done,
      null,
      found && Number(expires) > Date.now() ? { ...JSON.parse(found.session), lastModified } : null,
    );
  }

  override set(id: string, { lastModified: _, ...data }: SessionData & { lastModified?: Date }, done?: Done): void {
    const expires = data.cookie.expires as Date;
    this.documents.set(id, { session: JSON.stringify(data), lastModified: new Date(), expires });
    if (done) setImmediate(done);
  }

  override touch(id: string, data: SessionData & { lastModified?: Date }, done?: Done): void {
    if (data.lastModified) this.touchedWith.push(data.lastModified);
    // Throws for a text in its place.
    data.lastModified?.getTime();
    const found = this.documents.get(id);
    if (found) Object.assign(found, { lastModified: new Date(), expires: data.cookie.expires });
    if (done) setImmediate(done);
  }

  override destroy(id: string, done: Done = () => {}): void {
    this.documents.delete(id);
    setImmediate(done);
  }
}

/** As connect-typeorm: any failed query is told as "disconnect", and "connect" only when it is set up. */
export class QueryStore extends session.MemoryStore {
  isBroken = false;

  override get = (id: string, done: (error: unknown, data?: SessionData | null) => void): void => {
    if (!this.isBroken) return session.MemoryStore.prototype.get.call(this, id, done);
    done(new Error("lost"));
    this.emit("disconnect");
  };
}
