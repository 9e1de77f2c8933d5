// Sessions for a Socket.IO server: the door of each namespace, its sockets' sessions, and the guard of connection state
// recovery. Recognises the server by shape; Socket.IO itself is a peer that the application brings.
import { type ErrorCode, help, type SessionCode, SessionError, closeReason } from "../../errors.js";
import { setHidden } from "../../internal/hidden.js";
import type { Admission } from "../../handshake/admission.js";
import { claim, claimPath } from "../claims.js";
import { canWait, decideHandshakes } from "../engine-handshakes.js";
import { answerWithCookies } from "../response-headers.js";
import { sendUntracked } from "./adapter.js";
import { Connections, type SocketIoConnection, type SocketIoAttachment } from "./connection.js";
import { isHelper, removeTicket } from "./client-helper.js";
import { roomPrefix } from "./room.js";
import {
  type Adapter,
  type Client,
  type Engine,
  type Namespace,
  packetTypes,
  type Server,
  type Socket,
} from "./internals.js";

/** True for a Socket.IO Server. */
export function isServer(value: unknown): value is Server {
  const server = value as Partial<Server> | null | undefined;
  return server?._nsps instanceof Map && typeof server.bind === "function" && typeof server.path === "function";
}

/** True for a namespace of a Socket.IO server. */
export function isNamespace(value: unknown): value is Namespace {
  const namespace = value as Partial<Namespace> | null | undefined;
  return isServer(namespace?.server) && typeof namespace?.name === "string" && typeof namespace._add === "function";
}

/** Servers and namespaces that have sessions: a second attach() would be one too many, whoever calls it. */
const attached = new WeakSet<Server | Namespace>();

/** Attaches to all namespaces of a server, present and future, or to one namespace. */
export function attachSocketIo(target: Server | Namespace, attachment: SocketIoAttachment): void {
  const isWhole = isServer(target);
  const server = isWhole ? target : target.server;
  if (attached.has(target)) {
    throw new SessionError("OPTION_INVALID", { detail: "Sessions are attached to this server already." });
  }
  if (server.engine) checkWaits(server.engine, attachment.admission);
  claimPath(server.httpServer, server.path(), attachment.sessions);
  claim(server, attachment.sessions);
  if (server.engine) claim(server.engine, server);
  sendUntracked(server);
  const connections = new Connections(attachment, isWhole);
  // A dynamic namespace is guarded by its children: it has no sockets itself.
  const children = isWhole ? undefined : target.children;
  for (const namespace of isWhole ? server._nsps.values() : [target, ...(children ?? [])]) {
    // What was attached by itself keeps its own rules.
    if (!isWhole || !guards.has(namespace)) guard(namespace, connections);
  }
  attached.add(target);
  if (isWhole || children) {
    server.on("new_namespace", (namespace) => {
      if (children ? children.has(namespace) : !guards.has(namespace)) guard(namespace, connections);
    });
  }
  if (server.engine) listen(server.engine, connections, attachment.admission);
  // The server may be bound to a port later, or to another one.
  const bind = server.bind;
  setHidden(server, "bind", (engine: Engine) => {
    claimPath(server.httpServer, server.path(), attachment.sessions);
    claim(engine, server);
    checkWaits(engine, attachment.admission);
    listen(engine, connections, attachment.admission);
    return bind.call(server, engine);
  });
}

function listen(engine: Engine, connections: Connections, admission: Admission): void {
  // First of all listeners: a later one may drop the request to save memory. The session is read while the client's
  // CONNECT packet is on its way.
  engine.prependListener("connection", (conn) => void connections.of(conn));
  if (!admission.issuesSessions) return;
  // Not with engine.use(): WebTransport stays possible.
  decideHandshakes(engine.opts, async (request) => {
    await admission.issueSession(request, engine.opts.cors);
    return undefined;
  });
  answerWithCookies(engine, (request) => admission.setCookie(request));
}

function checkWaits(engine: Engine, admission: Admission): void {
  if (!admission.issuesSessions || canWait(engine)) return;
  const detail = 'On uWebSockets.js a handshake cannot wait for a session to be made: missing: "create" is not for it.';
  throw new SessionError("SERVER_UNSUPPORTED", { detail });
}

/** The connections that guard a namespace: those of the latest attach() that named it. */
const guards = new WeakMap<Namespace, Connections>();

function guard(namespace: Namespace, connections: Connections): void {
  const isGuarded = guards.has(namespace);
  guards.set(namespace, connections);
  if (isGuarded) return;
  const { _add: add, _createSocket: createSocket, _doConnect: doConnect } = namespace;
  if (typeof add !== "function" || typeof createSocket !== "function" || typeof doConnect !== "function") {
    throw new SessionError("SERVER_UNSUPPORTED", { detail: "Socket.IO before 4.6 lacks what this needs." });
  }
  const connectionFor = (client: Client): SocketIoConnection => (guards.get(namespace) as Connections).of(client.conn);

  // The door: before Socket.IO makes a socket or restores a state.
  const guardedAdd: Namespace["_add"] = async (client, sent, done) => {
    const auth = sent ?? {};
    const connection = connectionFor(client);
    // The store may be back since the last namespace was refused.
    if (connection.refusalCode === "STORE_UNAVAILABLE") connection.startAdmission(client.conn);
    const refused = await connection.admitConnect(client.conn, removeTicket(auth), auth);
    if (client.conn.readyState !== "open") return;
    if (refused === undefined) return add.call(namespace, client, auth, done);
    turnDown(client, namespace, refused);
  };

  // The socket gets its session as soon as it exists, on the recovered path too.
  const guardedCreate: Namespace["_createSocket"] = async (client, auth) => {
    const connection = connectionFor(client);
    const socket = await restoreOnly(namespace, connection, () => createSocket.call(namespace, client, auth));
    if (isHelper(auth)) connection.help(socket);
    connection.bindSocket(socket);
    return socket;
  };

  // The last moment before handlers hear of it: the session may have ended while middlewares ran.
  const guardedConnect: Namespace["_doConnect"] = (socket, done) => {
    const connection = connectionFor(socket.client);
    const { refusalCode, room } = connection;
    if (refusalCode === undefined) {
      // It may have got another while middlewares ran.
      if (socket.session !== connection.session) connection.bindSocket(socket);
      if (room !== undefined) socket.join(room);
      // Right after the answer to CONNECT: before anything that the application's handlers send.
      return doConnect.call(namespace, socket, (connected) => {
        done?.(connected);
        connection.greet(socket);
      });
    }
    socket._cleanup();
    turnDown(socket.client, namespace, refusalCode);
  };

  setHidden(namespace, "_add", guardedAdd);
  setHidden(namespace, "_createSocket", guardedCreate);
  setHidden(namespace, "_doConnect", guardedConnect);
}

function turnDown(client: Client, namespace: Namespace, code: ErrorCode): void {
  // A client that gets a CONNECT_ERROR never comes back by itself, one whose transport closes does: a browser that
  // comes before the login response has set its new cookie must, and one that finds a server shutting down.
  if (code === "SESSION_ROTATED" || code === "SESSIONS_CLOSED") {
    client.conn.close();
    return;
  }
  const data = closeReason(code as SessionCode);
  const isOldProtocol = client.conn.protocol === 3;
  client._packet({
    type: packetTypes.connectError,
    nsp: namespace.name,
    data: isOldProtocol ? data : { message: help[code].what, data },
  });
  // Who floods is not read any more.
  if (code === "LIMIT_REACHED") client.conn.close();
}

/**
 * Socket.IO's connection state recovery gives a state to whoever knows its pid, and sends the missed packets before
 * any middleware runs. Here it is given only to a connection of the very session that the state was kept for: its
 * rooms name that session.
 */
let restoring: SocketIoConnection | undefined;

const restricted = new WeakSet<Adapter>();

function restoreOnly(
  namespace: Namespace,
  connection: SocketIoConnection,
  create: () => Promise<Socket>,
): Promise<Socket> {
  restrict(namespace.adapter);
  // Socket.IO asks the adapter within this synchronous call; asked at any other time, the adapter has nothing.
  restoring = connection;
  try {
    return create();
  } finally {
    restoring = undefined;
  }
}

function restrict(adapter: Adapter): void {
  const restore = adapter.restoreSession;
  if (restricted.has(adapter) || typeof restore !== "function") return;
  restricted.add(adapter);
  setHidden(adapter, "restoreSession", async (pid: string, offset: string) => {
    const asked = restoring;
    if (!asked) return null;
    const state = await restore.call(adapter, pid, offset);
    const rooms = [...(state?.rooms ?? [])].filter((room) => room.startsWith(roomPrefix));
    const { room: own } = asked;
    const isSame = own === undefined ? rooms.length === 0 : rooms.length === 1 && rooms[0] === own;
    return isSame ? state : null;
  });
}
