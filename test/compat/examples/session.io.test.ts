// The full script of session.io's document runs as it is there, on the stack of its time and on today's.
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import sessionIo from "../../../src/compat/session.io.js";
import { Browser } from "../../support/browser.js";
import { ofThisRun } from "../support/era.js";
import { runProgram } from "../support/program.js";
import { connected, openClient } from "../support/stacks.js";

const today = createRequire(import.meta.url);
const old = createRequire(new URL("../../stacks/package.json", import.meta.url));
const name = "socket-session/compat/session.io";

const modern = (express: string) => (): Record<string, unknown> => ({
  [name]: sessionIo,
  express: today(express),
  "express-session": today("express-session"),
  "cookie-parser": today("cookie-parser"),
  "socket.io": today("socket.io"),
});

const ofItsTime = (): Record<string, unknown> => ({
  [name]: sessionIo,
  express: old("express-3.21"),
  sessionstore: old("sessionstore"),
  "socket.io": { listen: (server: unknown) => old("socket.io-0.9").listen(server, { log: false }) },
});

const programs = [
  { title: "Socket.IO 4, Express 5", file: "session.io-express.cjs", version: "4", modules: modern("express") },
  { title: "Socket.IO 4, Express 4", file: "session.io-express.cjs", version: "4", modules: modern("express4") },
  { title: "Socket.IO 0.9, Express 3", file: "session.io-express-3.cjs", version: "0.9", modules: ofItsTime },
] as const;

describe.each(ofThisRun(programs, ({ version }) => version === "4"))(
  "the example of session.io on $title",
  ({ file, version, modules }) => {
    test("lets in the browser that has opened the page, with its session, and nobody else", async () => {
      const program = await runProgram(file, modules());
      const browser = new Browser(program.url);
      const page = await (await browser.fetch("/")).text();
      expect(page).toContain("Connected");
      expect(program.log).toEqual([["Listening on port 0"]]);
      await expect(connected(openClient(version, program.url, undefined))).rejects.toThrow();
      const logged = program.logged();
      await connected(openClient(version, program.url, browser.cookie));
      const [session] = (await logged) as any[];
      expect(session.cookie.path).toBe("/");
      expect(decodeURIComponent(browser.cookie)).toContain(session.id);
      expect(program.log).toHaveLength(2);
    });
  },
);
