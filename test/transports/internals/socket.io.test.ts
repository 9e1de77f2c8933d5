// What the library leans on in Socket.IO, in the oldest version that is supported and in the newest.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server as Newest } from "socket.io";
import { Server as Oldest } from "socket.io-4.6.0";
import { io as connect, type Socket as ClientSocket } from "socket.io-client";
import { describe, expect, onTestFinished, test } from "vitest";
import { createSessions } from "../../../src/index.js";
import {
  checkEngine,
  checkServer,
  type Client,
  type ConnectHooks,
  discard,
  type Engine,
  interceptConnects,
  interceptPackets,
  type Namespace,
  namespacesOf,
  type Packet,
  packetTypes,
  readPacket,
  sendPacket,
  type Server,
  type Socket,
} from "../../../src/transports/socket.io/internals.js";
import { closeServers } from "../../support/closing.js";
import { sources } from "../../support/source.js";

test("no other file uses what Socket.IO does not document", () => {
  const inside = /\b_(?:nsps|add|createSocket|doConnect|onpacket|packet|cleanup|initAdapter|opts|fns)\b/;
  const users = sources.filter(({ path, text }) => path.startsWith("transports/") && inside.test(text));
  expect(users.map(({ path }) => path)).toEqual(["transports/socket.io/internals.ts"]);
});

const recovery = { connectionStateRecovery: { maxDisconnectionDuration: 60_000, skipMiddlewares: true } };
const through: ConnectHooks = {
  beforeCreate: async () => true,
  onCreate: (_client, _auth, create) => create(),
  onConnect: (_socket, answer) => answer(() => undefined),
};

describe.each([
  ["4.6.0", Oldest as unknown as typeof Newest],
  ["newest", Newest],
])("Socket.IO %s", (_version, ServerOf) => {
  const start = async () => {
    const http = createServer();
    const io = new ServerOf(http, recovery);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
    const clients: ClientSocket[] = [];
    onTestFinished(async () => {
      for (const client of clients) client.disconnect();
      await closeServers(io, http);
    });
    const client = (path = "/", auth: object = {}): ClientSocket => {
      const made = connect(url + path, { transports: ["websocket"], auth, forceNew: true });
      clients.push(made);
      return made;
    };
    return { io, server: io as unknown as Server, client };
  };
  const root = (server: Server): Namespace => server.sockets;

  test("has every part, and attach() names one that it lacks", async () => {
    const { io, server } = await start();
    checkServer(server);
    checkEngine(server.engine as Engine);
    const sessions = createSessions({ secret: "secret" });
    onTestFinished(() => sessions.close());
    const lacks = (target: object, part: string): void => {
      Object.defineProperty(target, part, { value: undefined, configurable: true, writable: true });
      const attach = (): unknown => sessions.attach(io);
      expect(attach).toThrow(expect.objectContaining({ code: "SERVER_UNSUPPORTED" }) as Error);
      expect(attach).toThrow(part);
      expect(attach).toThrow("socket.io 4, from 4.6 on");
      delete (target as Record<string, unknown>)[part];
    };
    lacks(io.engine, "prependListener");
    const { _nsps: namespaces } = io;
    lacks(io, "_nsps");
    Object.assign(io, { _nsps: namespaces });
    lacks(io.of("/"), "_add");
  });

  test("asks for a state, and makes a socket, after beforeCreate and within create()", async () => {
    const { io, server, client } = await start();
    const steps: string[] = [];
    let isCreating = false;
    const { adapter } = root(server);
    adapter.restoreSession = async () => {
      steps.push(isCreating ? "restore within create()" : "restore");
      return null;
    };
    io.use((_socket, next) => {
      steps.push("middleware");
      next();
    });
    io.on("connection", () => steps.push("connection"));
    interceptConnects(root(server), {
      async beforeCreate(_client, auth) {
        steps.push(`before, user ${(auth as { user?: string }).user}`);
        return true;
      },
      async onCreate(_client, _auth, create) {
        isCreating = true;
        const creating = create();
        isCreating = false;
        const socket = await creating;
        steps.push("created");
        return socket;
      },
      onConnect(_socket, answer) {
        steps.push("connect");
        answer(() => steps.push("answered"));
      },
    });
    // The client has a state, as far as it knows.
    const ada = client("/", { user: "ada", pid: "pid", offset: "offset" });
    await once(ada as never, "connect");
    await expect
      .poll(() => steps)
      .toEqual([
        "before, user ada",
        "restore within create()",
        "created",
        "middleware",
        "connect",
        "answered",
        "connection",
      ]);
  });

  test("has no socket where beforeCreate refuses, and a packet still reaches the client", async () => {
    const { io, server, client } = await start();
    interceptConnects(root(server), {
      ...through,
      async beforeCreate(refused) {
        sendPacket(refused, {
          type: packetTypes.connectError,
          nsp: "/",
          data: { message: "no", data: { code: "NO" } },
        });
        return false;
      },
    });
    const [error] = (await once(client() as never, "connect_error")) as [{ message: string; data: unknown }];
    expect([error.message, error.data]).toEqual(["no", { code: "NO" }]);
    expect(io.of("/").sockets.size).toBe(0);
  });

  test("lets go of a socket that is discarded after its middlewares", async () => {
    const { io, server, client } = await start();
    const discarded = new Promise((resolve) => {
      interceptConnects(root(server), {
        ...through,
        onConnect(socket) {
          socket.join("a room");
          discard(socket);
          resolve(undefined);
        },
      });
    });
    client();
    await discarded;
    expect(io.of("/").adapter.rooms.size).toBe(0);
    expect(io.of("/").sockets.size).toBe(0);
  });

  test("reads each packet by the intercepted method, before any listener and in the same turn", async () => {
    const { io, client } = await start();
    const heard: unknown[] = [];
    io.on("connection", (socket) => {
      interceptPackets(socket as unknown as Socket, function read(this: Socket, packet: Packet) {
        heard.push(["packet", packet.type]);
        readPacket(this, packet);
        heard.push(["read", packet.type]);
      });
      socket.onAny((event) => heard.push(event));
      socket.on("disconnect", () => heard.push("disconnect"));
    });
    const ada = client();
    ada.emit("plain");
    ada.emit("binary", Buffer.from("1"));
    await expect.poll(() => heard.length).toBe(6);
    ada.disconnect();
    await expect.poll(() => heard.length).toBe(9);
    // With its attachments a binary event is read like any other.
    const { event, disconnect } = packetTypes;
    expect(heard).toEqual([
      ["packet", event],
      "plain",
      ["read", event],
      ["packet", event],
      "binary",
      ["read", event],
      ["packet", disconnect],
      "disconnect",
      ["read", disconnect],
    ]);
  });

  test("a packet is an event to the client, and to no listener for what is sent", async () => {
    const { io, client } = await start();
    const sent: string[] = [];
    io.on("connection", (socket) => {
      socket.onAnyOutgoing((event: string) => sent.push(event));
      sendPacket(socket.client as unknown as Client, { type: packetTypes.event, nsp: "/", data: ["told", 1] });
    });
    expect(await once(client() as never, "told")).toEqual([1]);
    expect(sent).toEqual([]);
  });

  test("knows the namespaces of a server, the children of a dynamic one, and the sockets of a client", async () => {
    const { io, server, client } = await start();
    const dynamic = io.of(/^\/room-\d$/) as unknown as Namespace;
    io.of("/static");
    const seen: boolean[] = [];
    server.on("new_namespace", (namespace) => seen.push(dynamic.children?.has(namespace) === true));
    const sockets = client("/room-1");
    await once(sockets as never, "connect");
    expect(seen).toEqual([true]);
    expect(root(server).children).toBeUndefined();
    expect([...namespacesOf(server)].map(({ name }) => name)).toEqual(["/", "/static", "/room-1"]);
    const [socket] = [...io.of("/room-1").sockets.values()] as unknown as [Socket];
    expect([...socket.client.sockets.values()]).toEqual([socket]);
  });
});
