// Sockets are in the rooms of their sessions for everybody who looks, and join as late as that allows.
import { Server } from "socket.io";
import { beforeEach, expect, test, vi } from "vitest";
import { roomOf } from "../../src/transports/socket.io/room.js";
import type { startApp as start } from "../support/app.js";
import { next } from "../support/browser.js";

let startApp: typeof start;

// Once a room was used in a process, all sockets join.
beforeEach(async () => {
  vi.resetModules();
  ({ startApp } = await import("../support/app.js"));
});

test("nobody joins while no room of a session is used; then all are in, with all who come later", async () => {
  const { io, sessions, login } = await startApp({
    setup: ({ io }) => void io.on("connection", (socket) => socket.on("ping", (done) => done())),
  });
  io.of("/other");
  const ada = await login("ada");
  const first = await ada.connect();
  await ada.connect("/other");
  const bobs = await (await login("bob")).connect();
  const names = (): string[] => ["/", "/other"].flatMap((name) => [...io.of(name).adapter.rooms.keys()]);
  expect(names().filter((name) => name.startsWith("session:"))).toEqual([]);

  const room = sessions.room(ada.sessionId);
  expect(io.of("/").adapter.rooms.get(room)?.size).toBe(1);
  expect(io.of("/other").adapter.rooms.get(room)?.size).toBe(1);
  const later = await ada.connect();
  expect(io.of("/").adapter.rooms.get(room)?.size).toBe(2);
  const heardByBob = vi.fn();
  bobs.on("hi", heardByBob);
  const heard = [next(first, "hi"), next(later, "hi")];
  io.to(room).emit("hi", 1);
  expect(await Promise.all(heard)).toEqual([1, 1]);
  await bobs.emitWithAck("ping");
  expect(heardByBob).not.toHaveBeenCalled();
});

test("who knows the name of a room without asking for it reaches its sockets", async () => {
  const { io, login } = await startApp();
  const ada = await login("ada");
  const [own, other] = [await ada.connect(), await (await login("bob")).connect()];
  const told: string[] = [];
  own.on("hi", (word: string) => told.push(`ada ${word}`));
  other.on("hi", (word: string) => told.push(`bob ${word}`));
  io.except(roomOf(ada.sessionId)).emit("hi", "except");
  io.to(roomOf(ada.sessionId)).emit("hi", "to");
  await expect.poll(() => told.toSorted()).toEqual(["ada to", "bob except"]);
  expect(await io.in(roomOf(ada.sessionId)).fetchSockets()).toHaveLength(1);
});

test("a socket whose session ends is in its room when the application first asks for it", async () => {
  const { io, sessions, login } = await startApp();
  const ada = await login("ada");
  const socket = await ada.connect();
  sessions.on("end", ({ id }) => void io.to(sessions.room(id)).emit("bye"));
  const bye = next(socket, "bye");
  await ada.post("/logout");
  await bye;
});

const memory = new Server().of("/").adapter.constructor as new (namespace: unknown) => object;
class OtherAdapter extends memory {}

test.each<[string, object]>([
  ["an adapter that may send to other nodes", { adapter: OtherAdapter }],
  ["connection state recovery", { connectionStateRecovery: {} }],
])("with %s they join at connect", async (_, options) => {
  const { io, login } = await startApp({ io: options });
  const ada = await login("ada");
  await ada.connect();
  expect(io.of("/").adapter.rooms.get(roomOf(ada.sessionId))?.size).toBe(1);
});
