// What a client sends may be nested deeper than the stack, and a handler may put it into a session.
import type { Application } from "express";
import session from "express-session";
import { describe, expect, test } from "vitest";
import { liveStore } from "../../src/index.js";
import { apply, diff, isEqual, reconcile } from "../../src/store/record/merge.js";
import { startApp } from "../support/app.js";
import { countCommits, startWithSession } from "../support/server-session.js";

const arrays = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
const objects = (levels: number): string => '{"a":'.repeat(levels - 1) + "{}" + "}".repeat(levels - 1);
const shapes: [string, (levels: number) => string][] = [
  ["arrays", arrays],
  ["objects", objects],
];

const tooDeep = { code: "DATA_INVALID", message: expect.stringMatching(/"draft".* 1000 levels/) };

describe.each(shapes)("nested %s", (_, nested) => {
  test("of 1,000 levels are kept", async () => {
    const { app, id, ada, session: own, errors } = await startWithSession();
    own.draft = JSON.parse(nested(1000));
    await own.save();
    await app.sessions.update(id, (data: any) => void (data.count = 1));
    own.other = "x";
    await own.save();
    expect(JSON.stringify((await ada.get("/session"))["draft"])).toBe(nested(1000));
    expect(errors).toEqual([]);
  });

  test.each([1001, 3500, 10_000, 100_000])(
    "of %i levels are DATA_INVALID with the field's name, not at the assignment, until they are taken out",
    async (levels) => {
      const { app, ada, session: own, errors, id, stored } = await startWithSession();
      const before = await stored();
      own.draft = JSON.parse(nested(levels));
      own.other = "x";
      await expect(own.save()).rejects.toMatchObject(tooDeep);
      expect(errors[0]).toMatchObject(tooDeep);
      expect(await stored()).toBe(before);
      // Others go on: HTTP, an update, and a change that comes from there.
      await app.sessions.update(id, (data: any) => void (data.count = 1));
      expect(await ada.get("/session")).toEqual({ user: "ada", count: 1 });
      delete own.draft;
      await own.save();
      expect(await ada.get("/session")).toEqual({ user: "ada", count: 1, other: "x" });
    },
  );

  test("behind the proxy, from another session, or by defineProperty are DATA_INVALID, too", async () => {
    const { session: own, stored } = await startWithSession();
    const { session: others } = await startWithSession();
    const deep = JSON.parse(nested(10_000));
    const before = await stored();
    const put: (() => unknown)[] = [
      () => ((own.draft ??= {}).deep = deep),
      () => {
        others.draft = deep;
        own.draft = others.draft;
      },
      () => Object.defineProperty(own, "draft", { value: deep, enumerable: true, configurable: true }),
      () => (own.draft = Object.freeze({ deep: Object.freeze(deep) })),
      () => Object.assign(own, { draft: [deep] }),
    ];
    for (const assign of put) {
      delete own.draft;
      assign();
      await expect(own.save()).rejects.toMatchObject(tooDeep);
    }
    expect(await stored()).toBe(before);
  });

  test("in update() and in store.set() fail the write, and store nothing", async () => {
    const { app, id, stored } = await startWithSession();
    const deep = JSON.parse(nested(10_000));
    const before = await stored();
    const update = app.sessions.update(id, (data: any) => void (data.draft = deep));
    await expect(update).rejects.toMatchObject(tooDeep);
    const data: any = await new Promise((resolve) => app.sessions.store.get(id, (_error, found) => resolve(found)));
    data.draft = deep;
    const error = await new Promise((resolve) => app.sessions.store.set(id, data, resolve));
    expect(error).toMatchObject(tooDeep);
    expect(await stored()).toBe(before);
  });

  test.each([1500, 10_000])("of %i levels in req.session let the request be answered", async (levels) => {
    const { app, ada, stored } = await startWithSession({
      setup: ({ app: routes }) => {
        routes.post("/deep", (req, res) => {
          (req.session as any).draft = JSON.parse(nested(levels));
          res.json({ ok: true });
        });
      },
    });
    const before = await stored();
    const response = await fetch(`${app.url}/deep`, { method: "POST", headers: { cookie: ada.cookie } });
    expect(await response.json()).toEqual({ ok: true });
    expect(JSON.parse(await stored())).not.toHaveProperty("draft");
    expect(before).not.toContain("draft");
    expect(await ada.get("/session")).toEqual({ user: "ada" });
  });

  test("in a view are not sent", async () => {
    const { errors, session: own } = await startWithSession({
      sessions: { view: (data) => (data.other ? JSON.parse(nested(10_000)) : null) },
    });
    own.other = "x";
    await own.save();
    expect(errors).toMatchObject([{ code: "DATA_INVALID" }]);
  });

  test("do not overflow what compares, merges and brings together", () => {
    const deep = (): any => ({ a: JSON.parse(nested(100_000)), b: 1 });
    expect(isEqual(deep(), deep())).toBe(true);
    expect(diff(deep(), deep())).toBeUndefined();
    const patch = diff({ b: 1 }, deep());
    expect(isEqual(apply({ b: 1 }, patch as never), deep())).toBe(true);
    const target = deep();
    target.b = 2;
    reconcile(target, deep());
    expect(target.b).toBe(1);
  });
});

// An old service has stored it.
describe.each(shapes)("a record with nested %s that is stored already", (_, nested) => {
  test.each([1001, 3500, 10_000])("of %i levels lets nobody in, and harms nobody", async (levels) => {
    const memory = new session.MemoryStore();
    const app = await startApp({ sessions: { store: liveStore(memory) } });
    const errors: any[] = [];
    app.sessions.on("error", (error) => errors.push(error));
    const ada = await app.login();
    const id = ada.sessionId;
    const bob = await app.login("bob");
    const cookie = JSON.stringify({ originalMaxAge: null, expires: null });
    (memory as any).sessions[id] = `{"cookie":${cookie},"user":"ada","draft":${nested(levels)}}`;
    expect(await ada.refused()).toMatchObject({ code: "SESSION_UNKNOWN" });
    const update = app.sessions.update(id, (data: any) => void (data.n = 1));
    await expect(update).rejects.toMatchObject({ code: "RECORD_INVALID" });
    expect(await ada.get("/session")).toEqual({});
    expect(errors).toMatchObject([{ code: "RECORD_INVALID" }]);
    expect((await app.sessions.store.all()).map(({ user }) => user)).toEqual(["bob"]);
    expect(await bob.get("/session")).toEqual({ user: "bob" });
  });
});

describe("req.session that cannot be saved", () => {
  const wrong: [string, (session: any) => void, object][] = [
    ["too deep", (own) => (own.draft = JSON.parse(arrays(20_000))), tooDeep],
    ["a BigInt", (own) => (own.draft = 1n), { code: "DATA_INVALID" }],
    ["a cookie that none can be", (own) => (own.cookie.originalMaxAge = "x"), { name: "TypeError" }],
  ];

  test.each(wrong)("%s: the request is answered, and told", async (_, spoil, error) => {
    const told: unknown[] = [];
    const { ada } = await startAppWith((app) => {
      app.get("/spoil", (req, res) => {
        spoil(req.session);
        res.end("answered");
      });
      app.use(((problem: unknown, _req: unknown, _res: unknown, _next: unknown) => told.push(problem)) as never);
    });
    const response = await ada.fetch("/spoil", { signal: AbortSignal.timeout(5000) });
    expect(await response.text()).toBe("answered");
    await expect.poll(() => told).toMatchObject([error]);
    expect(await ada.get("/session")).toEqual({ user: "ada" });
  });

  // Where nobody could catch it: it would end the process.
  test.each(wrong.slice(0, 2))(
    "%s: save() in a callback tells its own, after reload() too",
    async (_, spoil, error) => {
      const { ada } = await startAppWith((app) => {
        app.get("/spoil", (req, res) => {
          setImmediate(() => {
            spoil(req.session);
            req.session.save((first) => {
              req.session.reload(() => {
                spoil(req.session);
                req.session.save((second) => {
                  Reflect.deleteProperty(req.session, "draft");
                  req.session.save((third) =>
                    res.json(
                      [first, second, third].map((one) => (one ? { code: one.code, message: one.message } : null)),
                    ),
                  );
                });
              });
            });
          });
        });
      });
      expect(await ada.get("/spoil")).toEqual([expect.objectContaining(error), expect.objectContaining(error), null]);
    },
  );

  async function startAppWith(setup: (app: Application) => void) {
    const { login } = await startApp({ sessions: { cookie: { maxAge: 60_000 } }, setup: ({ app }) => setup(app) });
    return { ada: await login() };
  }
});

test("a big array that changes its length elsewhere is brought in without blocking the others", async () => {
  const rows = (count: number): object[] => Array.from({ length: count }, (_, n) => ({ n }));
  const target: any = { rows: rows(20_000), numbers: Array.from({ length: 300_000 }, () => 0) };
  const held = target.rows[5];
  // Of this process: others may be busy, too.
  const before = process.cpuUsage();
  reconcile(target, { rows: rows(20_000).slice(1), numbers: [1, ...target.numbers] } as never);
  expect(process.cpuUsage(before).user).toBeLessThan(2_000_000);
  expect(target.rows[4]).toBe(held);
  expect(target.numbers).toHaveLength(300_001);
});

test("a big field that is assigned many times in one turn is written once", async () => {
  const { session: own, app } = await startWithSession();
  const rows = Array.from({ length: 1000 }, (_, n) => n);
  const commits = countCommits(app.sessions.store);
  const since = performance.now();
  for (let times = 0; times < 10_000; times++) own.rows = rows;
  await own.save();
  expect(commits.count).toBe(1);
  expect(performance.now() - since).toBeLessThan(5000);
});

test("of another value that cannot be stored the field is named, too", async () => {
  const { session: own } = await startWithSession();
  own.price = { amount: 1n };
  await expect(own.save()).rejects.toMatchObject({
    code: "DATA_INVALID",
    message: expect.stringContaining('"price"'),
  });
});
