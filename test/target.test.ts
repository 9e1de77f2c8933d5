// What stands for a session: an id, a request, a socket, a session object.
import { describe, expect, test } from "vitest";
import { type SessionError } from "../src/index.js";
import { startApp } from "./support/app.js";
import { closed } from "./support/browser.js";

test("an express-session object is a target like its request; nothing at all is TARGET_INVALID", async () => {
  const app = await startApp({
    setup({ app, sessions }) {
      app.get("/rooms", (req, res) => {
        res.json([sessions.room(req.session as never), sessions.room(req)]);
      });
    },
  });
  const ada = await app.login();
  const [ofSession, ofRequest] = await ada.get<string[]>("/rooms");
  expect(ofSession).toBeTypeOf("string");
  expect(ofSession).toBe(ofRequest);
  await expect(app.sessions.destroy(undefined as never)).rejects.toMatchObject({
    code: "TARGET_INVALID",
  } satisfies Partial<SessionError>);
});

describe("a framework's request stands for Node's behind it:", () => {
  const shapes: [string, (req: object) => object][] = [
    [
      "Fastify's, in raw",
      (raw) => ({
        raw,
        get session() {
          return (raw as { session: object }).session;
        },
      }),
    ],
    ["Koa's context, in req, whatever session it has of its own", (req) => ({ req, session: { id: "another" } })],
    ["Hono's context, in env.incoming", (incoming) => ({ env: { incoming } })],
    ["Hono's request, by a symbol in raw", (incoming) => ({ raw: { [Symbol("incoming")]: incoming } })],
  ];

  test.each(shapes)("%s", async (_, wrap) => {
    const app = await startApp({
      setup({ app, sessions }) {
        app.get("/room", (req, res) => res.json(sessions.room(wrap(req)) === sessions.room(req)));
        app.post("/leave", async (req, res) => {
          req.session.user = "late";
          await sessions.destroy(wrap(req));
          res.json(req.session === undefined);
        });
      },
    });
    const ada = await app.login();
    expect(await ada.get("/room")).toBe(true);
    const socket = await ada.connect();
    const end = closed(socket);
    expect(await (await ada.post("/leave")).json()).toBe(true);
    expect((await end).told).toEqual([{ code: "SESSION_DESTROYED", retry: false }]);
  });

  test("but not behind a session object, nor in what a client has put into one", async () => {
    const app = await startApp({
      setup({ app, sessions }) {
        app.get("/rooms", (req, res) => {
          const { session } = req;
          const room = sessions.room(req);
          Object.assign(session, { raw: { sessionID: "victim" }, env: { incoming: { sessionID: "victim" } } });
          const forged = { session, raw: { sessionID: "victim" }, req: { sessionID: "victim" } };
          res.json([session as never, forged].map((target) => sessions.room(target) === room));
        });
      },
    });
    const ada = await app.login();
    expect(await ada.get("/rooms")).toEqual([true, true]);
  });
});

test("a session object of @fastify/session stands for its sessionId, and no field of a session does", async () => {
  const app = await startApp();
  class Theirs {
    id = "a field of the application";
    get sessionId(): string {
      return "theirs";
    }
    save(): void {}
  }
  const room = app.sessions.room("theirs");
  expect(app.sessions.room({ session: new Theirs() })).toBe(room);
  expect(app.sessions.room(new Theirs())).toBe(room);
  const forged = { id: "own", sessionId: "theirs", save: () => undefined };
  expect(app.sessions.room(forged)).toBe(app.sessions.room("own"));
});
