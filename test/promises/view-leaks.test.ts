// Nothing but the view leaves the server: random sessions, random things done with them, and every byte that the
// server writes to any connection.
import type { Socket as NetSocket } from "node:net";
import fc from "fast-check";
import type { Socket } from "socket.io-client";
import { expect, test } from "vitest";
import { type App, startApp } from "../support/app.js";
import { type Browser, connected, transports } from "../support/browser.js";

/** Keeps what the server writes, as it goes over the wire. */
class Recorder {
  #written: Buffer[] = [];

  listen({ http }: Pick<App, "http">): void {
    http.on("connection", (socket: NetSocket) => {
      for (const name of ["write", "end"] as const) {
        const original = socket[name].bind(socket) as (...values: unknown[]) => never;
        socket[name] = ((chunk: unknown, ...rest: unknown[]) => {
          if (typeof chunk === "string" || Buffer.isBuffer(chunk)) this.#written.push(Buffer.from(chunk as Buffer));
          return original(chunk, ...rest);
        }) as never;
      }
    });
  }

  /** What was written, and forgets it. Without the cookies, where an id belongs. */
  take(): string {
    const text = Buffer.concat(this.#written).toString("latin1");
    this.#written = [];
    return text.replace(/^set-cookie: .*$/gim, "");
  }
}

let count = 0;

/** Random data whose every key, text and number can be told from all others, and is noted. */
class Marks {
  readonly all: string[] = [];

  #mark(prefix: string): string {
    const mark = `${prefix}00${(++count).toString().padStart(7, "0")}`;
    this.all.push(mark);
    return mark;
  }

  marked(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((one) => this.marked(one));
    if (typeof value === "object" && value !== null) {
      return Object.fromEntries(Object.values(value).map((one) => [this.#mark("key"), this.marked(one)]));
    }
    if (typeof value === "number") return Number(this.#mark("7777"));
    return typeof value === "string" ? value + this.#mark("text") : value;
  }
}

// The page may see what is below "open", and nothing else.
const names = fc.constantFrom(
  "secret",
  "password",
  "_",
  "Open",
  "opened",
  "__created",
  "__tickets",
  "view",
  "expiresIn",
  "é",
);
const data = fc.record({
  hidden: fc.dictionary(names, fc.jsonValue({ maxDepth: 2 }), { minKeys: 1, maxKeys: 4 }),
  open: fc.jsonValue({ maxDepth: 2 }),
});
const moves = fc.constantFrom("http", "socket", "update", "look", "renew", "ticket", "regenerate", "refused", "reload");
const life = fc.record({
  first: data,
  steps: fc.array(fc.record({ move: moves, data }), { minLength: 1, maxLength: 6 }),
  end: fc.constantFrom("/logout", "/rotate"),
  via: fc.constantFrom(...transports),
  absoluteTimeout: fc.boolean(),
});

interface Open {
  open?: unknown;
}

function start(recorder: Recorder, absoluteTimeout: number | undefined): Promise<App> {
  return startApp({
    sessions: { cookie: { maxAge: 60_000 }, absoluteTimeout, view: (session) => (session as Open).open ?? null },
    attach: { tickets: true },
    io: { httpCompression: false },
    setup(parts) {
      recorder.listen(parts);
      parts.app.use("/my/session", parts.sessions.routes);
      parts.app.post("/rotate", (req, res, next) => {
        req.session.regenerate((error) => (error ? next(error) : res.json({})));
      });
      parts.io.on("connection", (socket) => {
        socket.on("set", (values: object, done) => {
          Object.assign(socket.session, values);
          done();
        });
        socket.on("again", async (values: object, done) => {
          await socket.session.regenerate();
          Object.assign(socket.session, values);
          done();
        });
      });
    },
  });
}

async function open(ada: Browser, options: object): Promise<Socket> {
  const socket = ada.socket("/", { auth: { session: { v: 1 } }, ...options });
  socket.on("session:collect", async (order: object) => {
    await ada.post("/my/session/collect", order);
    await socket.emitWithAck("session:collected");
  });
  return connected(socket);
}

test("every byte that the server writes is free of what the view does not return, and of ids", async () => {
  const recorder = new Recorder();
  const apps = { limited: await start(recorder, 3_600_000), unlimited: await start(recorder, undefined) };
  await fc.assert(
    fc.asyncProperty(life, async ({ first, steps, end, via, absoluteTimeout }) => {
      const { login, browser, sessions } = absoluteTimeout ? apps.limited : apps.unlimited;
      const hidden = new Marks();
      const shown = new Marks();
      const ids = new Set<string>();
      const fieldsOf = (values: typeof first): object => ({
        ...(hidden.marked(Object.values(values.hidden)) as unknown[]).reduce<object>(
          (fields, value, index) => ({ ...fields, [Object.keys(values.hidden)[index] as string]: value }),
          {},
        ),
        open: shown.marked(values.open),
      });

      const ada = await login();
      recorder.take();
      ids.add(ada.sessionId);
      await ada.post("/set", fieldsOf(first));
      // Marks of the last view must have been written; what came before it may have been overtaken.
      let socket = await open(ada, { via });
      for (const step of steps) {
        const fields = fieldsOf(step.data);
        if (step.move === "http") await ada.post("/set", fields);
        else if (step.move === "socket") await socket.emitWithAck("set", fields);
        else if (step.move === "update") await sessions.update(ada.sessionId, (one) => Object.assign(one, fields));
        else if (step.move === "look") await ada.get("/my/session");
        else if (step.move === "renew") await ada.post("/my/session/renew");
        else if (step.move === "regenerate") await socket.emitWithAck("again", fields);
        else if (step.move === "refused") await browser().refused("/", { auth: { session: { ticket: "x" } } });
        else if (step.move === "ticket") {
          const { ticket } = (await (await ada.post("/my/session/ticket")).json()) as { ticket: string };
          const other = await connected(browser().socket("/", { auth: { session: { v: 1, ticket } }, via }));
          other.disconnect();
        } else {
          socket.disconnect();
          socket = await open(ada, { via });
        }
        ids.add(ada.sessionId);
      }
      const seen = (await ada.get<{ view: unknown }>("/my/session")).view;
      const ended = new Promise((resolve) => socket.once("disconnect", resolve));
      await ada.post(end);
      await ended;

      const written = recorder.take();
      // The recorder hears: what the page may see was written.
      const inView = shown.all.filter((mark) => JSON.stringify(seen).includes(mark));
      for (const mark of inView) expect(written).toContain(mark);
      for (const mark of hidden.all) expect(written).not.toContain(mark);
      for (const id of ids) {
        expect(id).not.toBe("");
        expect(written).not.toContain(id);
      }
    }),
    { numRuns: 40 },
  );
}, 120_000);
