// Promise 7: rotation is not inheritance.
import type express from "express";
import passport from "passport";
import { Strategy } from "passport-local";
import { describe, expect, test } from "vitest";
import { startApp } from "../support/app.js";
import { closed, next, transports } from "../support/browser.js";

describe.each(transports)("over %s", (via) => {
  test("regenerate() at login: sockets of the old id end with SESSION_ROTATED, the browser with the new cookie connects", async () => {
    const acted: unknown[] = [];
    const { browser, sessions } = await startApp({
      setup({ app, io }) {
        const passports = new passport.Passport();
        passports.use(new Strategy((name, _password, done) => done(null, { name })));
        passports.serializeUser((user, done) => done(null, (user as { name: string }).name));
        passports.deserializeUser((name, done) => done(null, { name } as never));
        app.use(passports.initialize() as express.RequestHandler, passports.session() as express.RequestHandler);
        app.post("/visit", (req, res) => {
          req.session.count = 1;
          res.json({});
        });
        app.post(
          "/passport",
          passports.authenticate("local") as express.RequestHandler,
          (_req, res) => void res.json({}),
        );
        io.on("connection", (socket) => {
          socket.on("act", (done) => {
            acted.push(socket.session.user);
            done?.(socket.session);
          });
        });
      },
    });
    const ada = browser();
    await ada.post("/visit");
    const oldCookie = ada.cookie;
    const socket = await ada.connect("/", { via });
    const before = acted.length;
    const end = closed(socket);
    expect((await ada.post("/passport", { username: "ada", password: "x" })).status).toBe(200);
    const { told, reason } = await end;
    expect(told).toEqual([{ code: "SESSION_ROTATED", retry: true }]);
    // The transport was closed, so that the client's own reconnection comes back.
    expect(reason).toMatch(/^transport/);
    expect(ada.cookie).not.toBe(oldCookie);
    socket.emit("act");
    const again = await ada.connect("/", { via });
    const session = (await again.emitWithAck("act")) as { passport?: { user: string } };
    expect(session.passport).toEqual({ user: "ada" });
    expect(acted.length).toBe(before + 1);
    expect(sessions.get("nothing")).toBeUndefined();
  });

  test("a plain client comes back by itself, also when it comes before the login response has set the new cookie", async () => {
    let answer = (): void => {};
    const isAnswered = new Promise<void>((resolve) => (answer = resolve));
    const { browser, url } = await startApp({
      setup({ app, io }) {
        app.post("/visit", (req, res) => {
          req.session.count = 1;
          res.json({});
        });
        app.post("/rotate", (req, res, fail) => {
          req.session.regenerate((error) => {
            if (error) return fail(error);
            req.session.user = "ada";
            req.session.save(() => void isAnswered.then(() => res.json({})));
          });
        });
        io.on("connection", (socket) => socket.on("user", (done) => done(socket.session.user)));
      },
    });
    const ada = browser();
    await ada.post("/visit");
    const socket = ada.socket("/", { via, reconnection: true, reconnectionDelay: 20, reconnectionDelayMax: 40 });
    let attempts = 0;
    socket.io.on("reconnect_attempt", () => {
      if (++attempts === 3) answer();
      socket.io.opts.extraHeaders = { cookie: ada.cookie };
    });
    socket.connect();
    await next(socket, "connect");
    const errors: Error[] = [];
    socket.on("connect_error", (error) => errors.push(error));
    const [response] = await Promise.all([ada.post("/rotate"), next(socket, "connect")]);
    expect(response.status).toBe(200);
    expect(await socket.emitWithAck("user")).toBe("ada");
    expect(attempts).toBeGreaterThan(1);
    expect(errors.filter((error) => "data" in error)).toEqual([]);
    expect(url).toBe(ada.url);
  });

  test("session fixation: a socket that an attacker opened with the id it planted never reaches the logged-in session", async () => {
    const reached: unknown[] = [];
    const { browser, io, sessions } = await startApp({
      setup({ app, io }) {
        app.post("/visit", (req, res) => {
          req.session.count = 1;
          res.json({});
        });
        app.post("/secure-login", (req, res, fail) => {
          req.session.regenerate((error) => {
            if (error) return fail(error);
            req.session.user = "victim";
            res.json({});
          });
        });
        io.on("connection", (socket) => {
          socket.on("look", (done) => {
            reached.push(socket.session.user);
            done(socket.session.user ?? null);
          });
        });
      },
    });
    const attacker = browser();
    await attacker.post("/visit");
    const victim = browser();
    for (const [name, value] of attacker.cookies) victim.cookies.set(name, value);
    const planted = await attacker.connect("/", {
      via,
      reconnection: true,
      reconnectionDelay: 20,
      reconnectionDelayMax: 30,
    });
    expect(await planted.emitWithAck("look")).toBeNull();
    const ended = closed(planted);
    await victim.post("/secure-login");
    planted.emit("look");
    expect((await ended).told).toEqual([{ code: "SESSION_ROTATED", retry: true }]);
    const victimSocket = await victim.connect("/", { via });
    expect(await victimSocket.emitWithAck("look")).toBe("victim");
    const room = sessions.room(await roomTarget(io));
    io.to(room).emit("secret");
    await next(victimSocket, "secret");
    // The attacker's client tries again and again with the planted cookie, and never gets in.
    expect(planted.connected).toBe(false);
    expect(reached).toEqual([undefined, "victim"]);
    expect(io.of("/").sockets.size).toBe(1);
  });
});

async function roomTarget(io: { of(name: string): { sockets: Map<string, { session: object }> } }): Promise<never> {
  const [socket] = io.of("/").sockets.values();
  return socket as never;
}

test("socket.session.regenerate() says that only HTTP can do it, and changes nothing", async () => {
  const { login } = await startApp({
    setup({ io }) {
      io.on("connection", (socket) => {
        socket.on("regenerate", (done) => socket.session.regenerate((error) => done((error as { code: string }).code)));
      });
    },
  });
  const ada = await login();
  const socket = await ada.connect();
  expect(await socket.emitWithAck("regenerate")).toBe("REGENERATE_NEEDS_HTTP");
  expect(await ada.get("/session")).toEqual({ user: "ada" });
});
