// The step by step example of session.socket.io's document runs as it is there, on the stack of its time and on today's.
import { createRequire } from "node:module";
import { describe, expect, test } from "vitest";
import SessionSockets from "../../../src/compat/session.socket.io.js";
import { Browser } from "../../support/browser.js";
import { ofThisRun } from "../support/era.js";
import { runProgram } from "../support/program.js";
import { connected, openClient, received } from "../support/stacks.js";

const today = createRequire(import.meta.url);
const old = createRequire(new URL("../../stacks/package.json", import.meta.url));
const name = "socket-session/compat/session.socket.io";

const modern = (express: string) => (): Record<string, unknown> => ({
  [name]: SessionSockets,
  express: today(express),
  "express-session": today("express-session"),
  "cookie-parser": today("cookie-parser"),
  "socket.io": today("socket.io"),
});

const ofItsTime = (): Record<string, unknown> => ({
  [name]: SessionSockets,
  express: old("express-3.21"),
  connect: old("connect-2.30"),
  "socket.io": { listen: (server: unknown) => old("socket.io-0.9").listen(server, { log: false }) },
});

const programs = [
  { title: "Socket.IO 4, Express 5", file: "session.socket.io-express.cjs", version: "4", modules: modern("express") },
  { title: "Socket.IO 4, Express 4", file: "session.socket.io-express.cjs", version: "4", modules: modern("express4") },
  { title: "Socket.IO 0.9, Express 3", file: "session.socket.io-express-3.cjs", version: "0.9", modules: ofItsTime },
] as const;

describe.each(ofThisRun(programs, ({ version }) => version === "4"))(
  "the example of session.socket.io on $title",
  ({ file, version, modules }) => {
    test("saves into the session, gives it to a namespace, and reads it for each client", async () => {
      const { url } = await runProgram(file, modules());
      const browser = new Browser(url);
      await browser.fetch("/foo");
      const client = openClient(version, url, browser.cookie);
      await received(client, "saved");
      expect(await (await browser.fetch("/foo")).text()).toBe("bar");
      expect(await (await browser.fetch("/clients")).text()).toBe("bar");
      const chat = openClient(version, url, browser.cookie, { namespace: "/chat" });
      expect(await received(chat, "foo")).toBe("bar");
    });

    test("gives the error of a client without a session", async () => {
      const { url } = await runProgram(file, modules());
      const client = openClient(version, url, undefined);
      const failure = received(client, "failed");
      await connected(client);
      expect(await failure).toBe("Could not lookup session by key: connect.sid");
    });
  },
);
