// sessions.userOf(): the real Passport derives the user of a session, once until its data changes.
import { once } from "node:events";
import passport from "passport";
import { expect, test } from "vitest";
import type { Socket } from "socket.io";
import { createSessions } from "../../src/index.js";
import { startApp } from "../support/app.js";
import type { Browser } from "../support/browser.js";
import { secret } from "../support/app.js";

declare global {
  namespace Express {
    interface User {
      name?: string;
    }
  }
}

declare module "express-session" {
  interface SessionData {
    passport?: { user?: unknown };
  }
}

type Deserializer = (id: unknown, done: (error: unknown, user?: Express.User | false | null) => void) => void;

/** An application with Passport; logs in by what serializeUser() would have put into the session. */
async function start(deserialize?: Deserializer) {
  const asked: unknown[] = [];
  const instance = new passport.Passport();
  instance.deserializeUser((id, done) => {
    asked.push(id);
    if (deserialize) deserialize(id, done);
    else setImmediate(() => done(null, { name: String(id) }));
  });
  const errors: unknown[] = [];
  const { sessions, io, login } = await startApp({
    sessions: { passport: instance, cookie: { maxAge: 60_000 } },
    attach: { missing: "anonymous" },
  });
  sessions.on("error", (error) => errors.push(error));
  const connect = async (browser: Browser): Promise<Socket> => {
    const [[socket]] = (await Promise.all([once(io, "connection"), browser.connect()])) as unknown as [[Socket]];
    return socket;
  };
  const ada = await login();
  await ada.post("/set", { passport: { user: 7 } });
  return { sessions, io, ada, connect, asked, errors, socket: await connect(ada) };
}

test("it is derived once for all sockets of a session, whoever asks", async () => {
  const { sessions, ada, connect, asked, socket } = await start();
  const other = await connect(ada);
  const users = await Promise.all([socket, socket, other, socket.session].map((one) => sessions.userOf(one)));
  expect(users).toEqual(Array.from(users, () => ({ name: "7" })));
  expect(new Set(users).size).toBe(1);
  expect(await sessions.userOf(other)).toBe(users[0]);
  expect(asked).toEqual([7]);
});

test("it is derived anew when the session has changed: by HTTP, by a handler, at any depth", async () => {
  const { sessions, ada, asked, socket } = await start();
  await sessions.userOf(socket);
  await ada.post("/set", { other: "from HTTP" });
  await sessions.userOf(socket);
  expect(asked).toEqual([7, 7]);
  (socket.session.passport as { user: unknown }).user = 8;
  expect(await sessions.userOf(socket)).toEqual({ name: "8" });
  await socket.session.save();
  expect(await sessions.userOf(socket)).toEqual({ name: "8" });
  expect(asked).toEqual([7, 7, 8]);
});

test("activity is no change", async () => {
  const { sessions, asked, socket } = await start();
  await sessions.userOf(socket);
  const { expires } = socket.session.cookie;
  await expect.poll(() => socket.session.touch().then(() => socket.session.cookie.expires)).not.toEqual(expires);
  await sessions.userOf(socket);
  expect(asked).toEqual([7]);
});

test("nobody is undefined: who is not logged in, or was removed, or has no session", async () => {
  const { sessions, io, ada, connect, asked, socket } = await start((_id, done) => done(null, false));
  expect(await sessions.userOf(socket)).toBeUndefined();
  await ada.post("/set", { passport: {} });
  expect(await sessions.userOf(socket)).toBeUndefined();
  ada.cookies.clear();
  const stranger = await connect(ada);
  expect(await sessions.userOf(stranger)).toBeUndefined();
  expect(asked).toEqual([7]);
  expect(io.of("/").sockets.size).toBe(2);
});

test("a failure is told with its cause, and the next call asks again", async () => {
  const failure = new Error("the database is away");
  let isAway = true;
  const { sessions, errors, socket } = await start((_id, done) =>
    isAway ? done(failure) : done(null, { name: "ada" }),
  );
  const expected = expect.objectContaining({ code: "USER_UNAVAILABLE", cause: failure });
  await expect(sessions.userOf(socket)).rejects.toEqual(expected);
  expect(errors).toEqual([expected]);
  isAway = false;
  expect(await sessions.userOf(socket)).toEqual({ name: "ada" });
});

test("the last user is known after the end", async () => {
  const { sessions, ada, asked, socket } = await start();
  const user = await sessions.userOf(socket);
  const gone = once(socket, "disconnect").then(() => sessions.userOf(socket));
  await ada.post("/logout");
  expect(await gone).toBe(user);
  expect(asked).toEqual([7]);
});

test("a function that wants the request gets the handshake's", async () => {
  const instance = new passport.Passport();
  instance.deserializeUser((req: { headers?: object }, id: unknown, done: (error: unknown, user: object) => void) =>
    done(null, { name: `${String(id)} ${Object.keys(req.headers ?? {}).includes("cookie")}` }),
  );
  const { sessions, io, login } = await startApp({ sessions: { passport: instance } });
  const ada = await login();
  await ada.post("/set", { passport: { user: 7 } });
  const [[socket]] = (await Promise.all([once(io, "connection"), ada.connect()])) as unknown as [[Socket]];
  expect(await sessions.userOf(socket)).toEqual({ name: "7 true" });
});

test("a request has its user, too", async () => {
  const instance = new passport.Passport();
  instance.deserializeUser((id: unknown, done) => done(null, { name: String(id) }));
  const { login } = await startApp({
    sessions: { passport: instance },
    setup: ({ app, sessions }) => void app.get("/who", async (req, res) => void res.json(await sessions.userOf(req))),
  });
  const ada = await login();
  await ada.post("/set", { passport: { user: 7 } });
  expect(await ada.get("/who")).toEqual({ name: "7" });
});

test("without Passport, or with something else, the option is named", async () => {
  const { sessions } = await startApp();
  await expect(sessions.userOf("an id")).rejects.toThrow("createSessions({ passport })");
  expect(() => createSessions({ secret, passport: {} as never })).toThrow("passport must be");
  const { sessions: others } = await startApp({ sessions: { passport } });
  await expect(others.userOf("an id")).rejects.toMatchObject({ code: "TARGET_INVALID" });
});
