// A response may be ended with a callback, as srvx and h3 do, whatever the session has to do before.
import type { Request, Response } from "express";
import { expect, test } from "vitest";
import { startApp } from "../support/app.js";

type End = (response: Response, done: () => void) => void;

const ends: [string, End, string][] = [
  ["end(callback)", (response, done) => response.end(done), ""],
  ["end(chunk, callback)", (response, done) => response.end("text", done), "text"],
  ["end(chunk, encoding, callback)", (response, done) => response.end("dGV4dA==", "base64", done), "text"],
  ["end(buffer, callback)", (response, done) => response.end(Buffer.from("text"), done), "text"],
  [
    "write(), end(callback)",
    (response, done) => void (response.write("te"), response.write("xt"), response.end(done)),
    "text",
  ],
  [
    "Content-Length, end(chunk, callback)",
    (response, done) => response.setHeader("Content-Length", 4).end("text", done),
    "text",
  ],
];

// expressjs/session#477
test.each(ends)("%s", async (_, end, body) => {
  for (const rolling of [false, true]) {
    const told: string[] = [];
    const { app, login, sessions } = await startApp({ sessions: { rolling, cookie: { maxAge: 60_000 } } });
    const route = (name: string, change: (request: Request) => void): void =>
      void app.get(`/${name}`, (request, response) => {
        change(request);
        end(response, () => told.push(`${name} ${response.writableFinished}`));
      });
    route("same", () => undefined);
    route("changed", (request) => (request.session.count = 1));
    route("destroyed", (request) => request.session.destroy(() => undefined));
    const ada = await login();
    for (const name of ["same", "changed", "destroyed"]) {
      const response = await ada.fetch(`/${name}`);
      expect([response.status, await response.text()], name).toEqual([200, body]);
      const isSent = name === "changed" || (rolling && name === "same");
      expect(response.headers.getSetCookie().length, name).toBe(isSent ? 1 : 0);
      await expect.poll(() => told.at(-1)).toBe(`${name} true`);
      if (name === "changed") expect(await ada.get("/session")).toMatchObject({ count: 1 });
    }
    expect(told).toEqual(["same true", "changed true", "destroyed true"]);
    expect(sessions.size).toBe(0);
  }
});

test("a session that is new gets its cookie, and a second end() is told that it is late", async () => {
  const told: unknown[] = [];
  const { app, browser } = await startApp();
  app.get("/new", (request, response) => {
    request.session.user = "ada";
    response.end("text", () => {
      told.push("first");
      response.end((error?: unknown) => told.push((error as { code: string }).code));
    });
  });
  const made = browser();
  expect(await (await made.fetch("/new")).text()).toBe("text");
  expect(await made.get("/session")).toEqual({ user: "ada" });
  expect(told).toEqual(["first", "ERR_STREAM_ALREADY_FINISHED"]);
});
