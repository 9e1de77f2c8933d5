// A server has the sessions of one createSessions(), whichever of its parts is attached (expressjs/session#613).
import { once } from "node:events";
import { createServer } from "node:http";
import { Server as EngineServer } from "engine.io";
import { Server } from "socket.io";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocketServer } from "ws";
import { type AttachableServer, createSessions } from "../../src/index.js";
import { secret } from "../support/app.js";
import { closeServers } from "../support/closing.js";

function start() {
  const http = createServer();
  const io = new Server(http);
  onTestFinished(() => closeServers(io, http));
  return { http, io };
}

const refused = expect.objectContaining({ code: "OPTION_INVALID" });

describe("a second createSessions()", () => {
  type Pair = (parts: { io: Server }) => [AttachableServer, AttachableServer];
  test.each<[string, Pair]>([
    ["a server, then a namespace", ({ io }) => [io, io.of("/admin")]],
    ["a namespace, then the server", ({ io }) => [io.of("/admin"), io]],
    ["two namespaces", ({ io }) => [io.of("/a"), io.of("/b")]],
    ["a dynamic namespace, then another", ({ io }) => [io.of(/^\/a/), io.of("/b")]],
    ["the same server", ({ io }) => [io, io]],
    ["the same namespace", ({ io }) => [io.of("/a"), io.of("/a")]],
    ["a server, then its engine", ({ io }) => [io, io.engine]],
    ["an engine, then the server above", ({ io }) => [io.engine, io]],
    ["an engine, then a namespace above", ({ io }) => [io.engine, io.of("/a")]],
    ["a namespace, then the engine below", ({ io }) => [io.of("/a"), io.engine]],
  ])("on %s is refused", (_, pair) => {
    const [first, second] = pair(start());
    createSessions({ secret }).attach(first);
    expect(() => createSessions({ secret }).attach(second)).toThrow(refused);
  });

  test("on an engine that is bound later is refused", () => {
    const engine = new EngineServer();
    createSessions({ secret }).attach(engine);
    const io = new Server();
    createSessions({ secret }).attach(io);
    expect(() => io.bind(engine as never)).toThrow(refused);
  });

  test("on the same path of one HTTP server is refused, on another it is not", () => {
    const { http, io } = start();
    createSessions({ secret }).attach(io);
    expect(() => createSessions({ secret }).attach(new Server(http))).toThrow(refused);
    expect(() => createSessions({ secret }).attach(new WebSocketServer({ server: http, path: "/socket.io" }))).toThrow(
      refused,
    );
    createSessions({ secret }).attach(new Server(http, { path: "/other" }));
    createSessions({ secret }).attach(new WebSocketServer({ server: http, path: "/ws" }));
    expect(() => createSessions({ secret }).attach(new WebSocketServer({ server: http, path: "/ws" }))).toThrow(
      refused,
    );
    const late = new Server();
    createSessions({ secret }).attach(late);
    expect(() => late.attach(http)).toThrow(refused);
  });

  test("is welcome where the first server is closed", async () => {
    const { http, io } = start();
    const socketServer = (): WebSocketServer => new WebSocketServer({ server: http, path: "/ws" });
    const first = socketServer();
    createSessions({ secret }).attach(first);
    createSessions({ secret }).attach(io);
    first.close();
    await once(first, "close");
    createSessions({ secret }).attach(socketServer());
    // Closes the HTTP server, too, which may listen again.
    http.listen(0);
    await once(http, "listening");
    void io.close();
    await once(http, "close");
    createSessions({ secret }).attach(new Server(http));
    createSessions({ secret }).attach(socketServer());
  });

  test("on a WebSocketServer that takes all paths of the HTTP server is refused, and on a path beside it", () => {
    const { http, io } = start();
    const first = createSessions({ secret }).attach(io);
    const everywhere = new WebSocketServer({ server: http });
    expect(() => createSessions({ secret }).attach(everywhere)).toThrow(refused);
    // What was refused is nobody's.
    first.attach(everywhere);
    expect(() => createSessions({ secret }).attach(new WebSocketServer({ server: http, path: "/ws" }))).toThrow(
      refused,
    );
    const chosen = new WebSocketServer({ server: http });
    chosen.shouldHandle = ({ url }) => url === "/chosen";
    createSessions({ secret }).attach(chosen);
  });

  test("on another ws server is fine, as the application sends upgrades to them by their path", () => {
    for (const path of ["/a", "/b"]) createSessions({ secret }).attach(new WebSocketServer({ noServer: true, path }));
  });

  test("leaves what the first has attached as it was", () => {
    const { io } = start();
    const first = createSessions({ secret }).attach(io.of("/a"));
    expect(() => createSessions({ secret }).attach(io)).toThrow(refused);
    first.attach(io.of("/b")).attach(io);
    expect(() => first.attach(io)).toThrow(refused);
  });
});
