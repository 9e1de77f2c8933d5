// How many bytes a session may take as it is stored, whichever way it is written.
import session from "express-session";
import { describe, expect, test } from "vitest";
import { createSessions, liveStore, memoryStore } from "../../src/index.js";
import { backendOf } from "../../src/store/live-store.js";
import { secret } from "../support/app.js";
import { startWithSession } from "../support/server-session.js";

const limit = 2000;
/** As many bytes, of two for each character. */
const bytes = (count: number): string => "é".repeat(count / 2);

const withLimit = (options: Parameters<typeof startWithSession>[0] = {}) =>
  startWithSession({ ...options, sessions: { maxSessionSize: limit, ...options.sessions } });

const tooLarge = {
  code: "DATA_INVALID",
  message: expect.stringMatching(/would take \d{4} bytes, and maxSessionSize is 2000.* "draft" with 2002 bytes/),
};

describe("maxSessionSize", () => {
  test("a socket's change above it is DATA_INVALID with the size and the largest field, until that is smaller", async () => {
    const { ada, session: own, errors, stored } = await withLimit();
    const before = await stored();
    own.note = "text";
    own.draft = bytes(2000);
    await expect(own.save()).rejects.toMatchObject(tooLarge);
    expect(errors).toMatchObject([tooLarge]);
    expect(await stored()).toBe(before);
    own.draft = bytes(1000);
    await own.save();
    expect(await ada.get("/session")).toEqual({ user: "ada", note: "text", draft: bytes(1000) });
  });

  test("a change that mends it while the save is under way is saved", async () => {
    const { ada, session: own } = await withLimit();
    own.draft = bytes(2000);
    const saving = own.save();
    delete own.draft;
    own.note = "text";
    await expect(saving).rejects.toMatchObject(tooLarge);
    await expect.poll(() => ada.get("/session")).toEqual({ user: "ada", note: "text" });
  });

  test("bytes count, not characters; exactly as many are allowed", async () => {
    const { session: own, stored } = await withLimit();
    own.draft = "";
    await own.save();
    const rest = limit - Buffer.byteLength(await stored());
    own.draft = "x".repeat(rest % 2) + bytes(rest - (rest % 2));
    await own.save();
    expect(Buffer.byteLength(await stored())).toBe(limit);
    own.draft += "x";
    await expect(own.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  test("update() above it rejects, and changes nothing", async () => {
    const { app, id, stored } = await withLimit();
    const before = await stored();
    const update = app.sessions.update(id, (data: any) => void (data.draft = bytes(2000)));
    await expect(update).rejects.toMatchObject(tooLarge);
    expect(await stored()).toBe(before);
  });

  test("two writers that are small enough alone are not when merged: the later one is told", async () => {
    const { app, ada, session: own, id } = await withLimit();
    own.one = bytes(1200);
    const saving = own.save();
    const update = app.sessions.update(id, (data: any) => void (data.two = bytes(1200)));
    await saving;
    await expect(update).rejects.toMatchObject({ code: "DATA_INVALID" });
    expect(await ada.get("/session")).toEqual({ user: "ada", one: bytes(1200) });
  });

  test("req.session above it is not stored; the request is answered, and save() is told", async () => {
    const told: any[] = [];
    const { app, ada, stored } = await withLimit({
      setup: ({ app: routes }) => {
        routes.post("/save", (req, res) => {
          (req.session as any).draft = bytes(2000);
          req.session.save((error) => {
            told.push(error);
            res.json({ ok: true });
          });
        });
      },
    });
    const before = await stored();
    const post = (path: string) =>
      fetch(app.url + path, {
        method: "POST",
        headers: { cookie: ada.cookie, "content-type": "application/json" },
        body: JSON.stringify({ draft: bytes(2000) }),
      });
    expect(await (await post("/set")).json()).toEqual({});
    expect(await (await post("/save")).json()).toEqual({ ok: true });
    expect(told[0]).toMatchObject(tooLarge);
    expect(await stored()).toBe(before);
  });

  test("a new session above it is not created", async () => {
    const { app, ada } = await withLimit({
      setup: ({ app: routes }) => {
        routes.post("/big-login", (req, res) => {
          req.session.regenerate(() => {
            (req.session as any).draft = bytes(2000);
            req.session.save((error: any) => res.json({ code: error?.code }));
          });
        });
      },
    });
    const response = await fetch(`${app.url}/big-login`, { method: "POST", headers: { cookie: ada.cookie } });
    expect(await response.json()).toEqual({ code: "DATA_INVALID" });
  });

  test("a ticket above it is not issued, and one that was issued can be used", async () => {
    const { app, session: own, id, stored } = await withLimit({ sessions: { maxSessionSize: undefined } });
    const backend = backendOf(app.sessions.store);
    const release = backend.claim({ maxSessionSize: limit });
    await backend.tickets.add(id, "first", Date.now() + 10_000);
    own.draft = "x".repeat(limit - Buffer.byteLength(await stored()) - 20);
    await own.save();
    await expect(backend.tickets.add(id, "second", Date.now() + 10_000)).rejects.toMatchObject({
      code: "DATA_INVALID",
    });
    release();
    backend.claim({ maxSessionSize: 100 });
    expect(await backend.tickets.consume(id, "first")).toBe(true);
  });

  test("a session that was larger already lives on, by activity and touches, and can be made smaller", async () => {
    const sessions = { cookie: { maxAge: 60_000 }, maxSessionSize: undefined };
    const { app, ada, session: own, id, stored } = await withLimit({ sessions });
    own.draft = bytes(1800);
    await own.save();
    backendOf(app.sessions.store).claim({ maxSessionSize: 1000 });
    const before = await stored();
    await backendOf(app.sessions.store).prolong(id, Date.now() + 1000);
    const prolonged = await stored();
    expect(prolonged).not.toBe(before);
    await own.touch();
    expect((await ada.fetch("/session")).status).toBe(200);
    own.note = "x";
    await expect(own.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
    delete own.draft;
    await own.save();
    expect(await ada.get("/session")).toEqual({ user: "ada", note: "x" });
  });

  test("is 1 MiB by default, also of a store without createSessions(), and Infinity switches it off", async () => {
    const store = memoryStore();
    const sessions = createSessions({ secret, store });
    expect(backendOf(store).maxSessionSize).toBe(1 << 20);
    const { app, id } = await withLimit({ sessions: { maxSessionSize: Infinity } });
    await app.sessions.update(id, (data: any) => void (data.draft = bytes(2 << 20)));
    await sessions.close();
  });

  test("is an option of the store, too, which createSessions() leaves unless it is given there", async () => {
    const store = liveStore(new session.MemoryStore(), { maxSessionSize: 5000 });
    await createSessions({ secret, store }).close();
    expect(backendOf(store).maxSessionSize).toBe(5000);
    await createSessions({ secret, store, maxSessionSize: 6000 }).close();
    expect(backendOf(store).maxSessionSize).toBe(6000);
  });

  test.each([0, -1, Number.NaN, "1000", null])("as %s is OPTION_INVALID", (maxSessionSize: any) => {
    const invalid = expect.objectContaining({ code: "OPTION_INVALID", message: expect.stringContaining("maxSession") });
    expect(() => createSessions({ secret, maxSessionSize })).toThrow(invalid);
    expect(() => liveStore(new session.MemoryStore(), { maxSessionSize })).toThrow(invalid);
  });
});
