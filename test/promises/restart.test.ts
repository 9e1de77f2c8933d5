// What docs/operate/restart.md says: who is connected to a process that stops comes back to the next one, and loses nothing.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import type { Store } from "express-session";
import { Server } from "socket.io";
import { expect, onTestFinished, test } from "vitest";
import { createSessions, liveStore, memoryStore } from "../../src/index.js";
import { secret } from "../support/app.js";
import { Browser, next } from "../support/browser.js";
import { LineStore } from "../support/stores.js";

/** One process, at a port of its own or at that of the process before. */
async function start(store: Store, port = 0) {
  const app = express();
  const server = createServer(app);
  const io = new Server(server);
  const sessions = createSessions({ secret, store }).attach(io);
  app.use(sessions.middleware);
  app.post("/login", (req, res) => void res.json((req.session.user = "ada")));
  io.on("connection", (socket) => {
    socket.on("set and stop", (value: string) => {
      socket.session.other = value;
      stopping = stop();
    });
    socket.on("get", (done) => done(socket.session.other));
  });
  let stopping: Promise<void> | undefined;
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  /** As the page does it. */
  const stop = async (): Promise<void> => {
    const closed = io.close();
    setTimeout(() => server.closeAllConnections(), 1000).unref();
    await closed;
    await sessions.close();
  };
  onTestFinished(() => stop().catch(() => undefined));
  const stopped = async (): Promise<void> => (stopping ??= stop());
  return { sessions, stopped, port: (server.address() as AddressInfo).port };
}

async function logIn(port: number): Promise<Browser> {
  const ada = new Browser(`http://127.0.0.1:${port}`);
  onTestFinished(() => ada.close());
  await ada.post("/login");
  return ada;
}

test("a process that is stopped saves what handlers changed, and its clients come back to the next one", async () => {
  const line = new LineStore();
  const first = await start(liveStore(line));
  const ada = await logIn(first.port);
  const socket = await ada.connect("/", { reconnection: true, reconnectionDelay: 10 });
  const ends: unknown[] = [];
  socket.on("session:end", (end) => ends.push(end));
  line.latency = 300;
  const gone = next<string>(socket, "disconnect");
  socket.emit("set and stop", "changed at the last moment");
  expect(await gone).toMatch(/^transport/);
  await first.stopped();
  expect(Object.values((line.inner as unknown as { sessions: Record<string, string> }).sessions)).toEqual([
    expect.stringContaining("changed at the last moment"),
  ]);
  // What the page says meanwhile waits for the next process.
  const answer = socket.emitWithAck("get");
  await start(liveStore(line), first.port);
  expect(await answer).toBe("changed at the last moment");
  expect(ends).toEqual([]);
});

test("a process on memoryStore() that starts anew knows nobody", async () => {
  const first = await start(memoryStore());
  const ada = await logIn(first.port);
  await first.stopped();
  await start(memoryStore(), first.port);
  expect(await ada.refused()).toEqual({ code: "SESSION_UNKNOWN", retry: false });
});

test("after sessions.close() the transport of a client is closed, so that it tries again by itself", async () => {
  const { sessions, port } = await start(memoryStore());
  const ada = await logIn(port);
  await sessions.close();
  const socket = ada.socket("/", { reconnection: true, reconnectionDelay: 10 });
  const refusals: unknown[] = [];
  socket.on("connect_error", (error) => refusals.push((error as { data?: unknown }).data));
  socket.connect();
  for (const _ of ["at first", "again"]) await new Promise((resolve) => void socket.io.once("close", resolve));
  expect(socket.active).toBe(true);
  expect(refusals.filter((data) => data !== undefined)).toEqual([]);
});
