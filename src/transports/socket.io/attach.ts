// Sessions for a Socket.IO server: each namespace admits clients, and its sockets have their session. Recognises the
// server by shape; Socket.IO itself is a peer that the application brings.
import { closeReason, type ErrorCode, help, type SessionCode, SessionError } from "../../errors.js";
import { setHidden } from "../../internal/hidden.js";
import { after } from "../../internal/awaitable.js";
import type { Admission } from "../../handshake/admission.js";
import { claim, claimOnce, claimPath } from "../claims.js";
import { beforeHandshakes, canWait } from "../engine-handshakes.js";
import { answerWithCookies } from "../response-headers.js";
import { noop } from "../../internal/noop.js";
import { sendUntracked } from "./adapter.js";
import { isAdminUi } from "./admin-ui.js";
import { isHelper, removeTicket } from "./client-helper.js";
import { Connections, type SocketIoAttachment, type SocketIoConnection } from "./connection.js";
import {
  checkEngine,
  checkNamespace,
  checkServer,
  type Client,
  discard,
  type Engine,
  interceptConnects,
  type Namespace,
  namespacesOf,
  packetTypes,
  sendPacket,
  type Server,
} from "./internals.js";
import { restoreOwnState } from "./recovery.js";
import { warnOnce } from "../../warnings.js";

/** True for a Socket.IO Server. */
export function isServer(value: unknown): value is Server {
  const { bind, path, sockets } = (value ?? {}) as Partial<Server>;
  return typeof bind === "function" && typeof path === "function" && typeof sockets?.name === "string";
}

/** True for a namespace of a Socket.IO server. */
export function isNamespace(value: unknown): value is Namespace {
  const { server, name, adapter } = (value ?? {}) as Partial<Namespace>;
  return isServer(server) && typeof name === "string" && typeof adapter === "object";
}

/**
 * Attaches to all namespaces of a server, present and future, or to one namespace.
 *
 * @throws SessionError `SERVER_UNSUPPORTED`, `OPTION_INVALID`
 */
export function attachSocketIo(target: Server | Namespace, attachment: SocketIoAttachment): void {
  const { admission, sessions } = attachment;
  const isWhole = isServer(target);
  const server = isWhole ? target : target.server;
  checkServer(server);
  // A dynamic namespace has no sockets itself, but namespaces that clients asked for.
  const children = isWhole ? undefined : target.children;
  const namespaces = isWhole ? [...namespacesOf(server)] : [target, ...(children ?? [])];
  namespaces.forEach(checkNamespace);
  if (server.engine) checkEngineFor(server.engine, admission);
  claimPath(server.httpServer, server.path(), sessions);
  claim(server, sessions);
  if (server.engine) claim(server.engine, server);
  if ((server.engine?.clientsCount ?? 0) > 0) warnOnce("ATTACHED_LATE");
  claimOnce(target);
  sendUntracked(server);
  const connections = new Connections(attachment, isWhole);
  for (const namespace of namespaces) {
    // What was attached by itself keeps its own rules.
    if (!isWhole || !guards.has(namespace)) guard(namespace, connections);
  }
  if (isWhole || children) {
    server.on("new_namespace", (namespace) => {
      if (children ? children.has(namespace) : !guards.has(namespace)) guard(namespace, connections);
    });
  }
  if (server.engine) listen(server.engine, connections, admission);
  // The server may be bound to a port later, or to another one.
  const bind = server.bind;
  setHidden(server, "bind", (engine: Engine) => {
    checkEngineFor(engine, admission);
    claimPath(server.httpServer, server.path(), sessions);
    claim(engine, server);
    listen(engine, connections, admission);
    return bind.call(server, engine);
  });
}

function listen(engine: Engine, connections: Connections, admission: Admission): void {
  // First of all listeners: a later one may drop the request to save memory. The session is read while the client's
  // CONNECT packet is on its way.
  engine.prependListener("connection", (conn) => void connections.of(conn));
  if (!admission.issuesSessions) return;
  // Not with engine.use(): WebTransport stays possible.
  beforeHandshakes(engine.opts, async (request) => {
    await admission.issueSession(request, engine.opts.cors);
    return undefined;
  });
  answerWithCookies(engine, (request) => admission.setCookie(request));
}

function checkEngineFor(engine: Engine, admission: Admission): void {
  checkEngine(engine);
  if (!admission.issuesSessions || canWait(engine)) return;
  const detail = 'uWebSockets.js cannot hold a handshake until a session is stored: attach without missing: "create".';
  throw new SessionError("SERVER_UNSUPPORTED", { detail });
}

/** The connections that guard a namespace: those of the latest attach() that named it. */
const guards = new WeakMap<Namespace, { connections: Connections }>();

function guard(namespace: Namespace, connections: Connections): void {
  const known = guards.get(namespace);
  if (known) {
    known.connections = connections;
    return;
  }
  const guarding = { connections };
  guards.set(namespace, guarding);
  const connectionOf = (client: Client): SocketIoConnection => guarding.connections.of(client.conn);
  // A namespace that was named is guarded, whoever handles its sockets.
  const isOpen = (): boolean => guarding.connections.isWhole && isAdminUi(namespace);
  interceptConnects(namespace, {
    beforeCreate(client, auth) {
      if (isOpen()) return true;
      const connection = connectionOf(client);
      // The store may be back, or the data another, since the last namespace was refused.
      const { refusalCode } = connection;
      if (refusalCode === "STORE_UNAVAILABLE" || refusalCode === "SESSION_FORBIDDEN")
        connection.startAdmission(client.conn);
      return after(connection.admitConnect(client.conn, removeTicket(auth), auth), (refused) => {
        if (client.conn.readyState !== "open") return false;
        if (refused !== undefined) refuse(client, namespace, refused);
        return refused === undefined;
      });
    },
    onCreate(client, auth, create) {
      if (isOpen()) return create();
      const connection = connectionOf(client);
      return restoreOwnState(namespace, connection, create).then((socket) => {
        if (isHelper(auth)) connection.help(socket);
        connection.bindSocket(socket);
        return socket;
      });
    },
    onConnect(socket, answer) {
      if (isOpen()) return answer(noop);
      const connection = connectionOf(socket.client);
      const finish = (): void => {
        // The session may have ended or changed while middlewares ran.
        const refused = connection.check();
        if (refused !== undefined) {
          discard(socket);
          return refuse(socket.client, namespace, refused);
        }
        // It may have got another while middlewares ran.
        if (socket.session !== connection.session) connection.bindSocket(socket);
        connection.joinRoom(socket);
        // Right after the answer to CONNECT: before anything that the application's handlers send.
        answer(() => connection.greet(socket));
      };
      const login = connection.pendingHandover;
      if (!login) return finish();
      void login.then(() => (socket.client.conn.readyState === "open" ? finish() : discard(socket)));
    },
  });
}

/** What a check has to know of a server: whether it speaks TLS, where no session is, and whether it has other nodes. */
export function lookAt(server: Server) {
  const { httpServer, sockets } = server;
  const unguarded = [...namespacesOf(server)]
    .filter((one) => !guards.has(one) && !isAdminUi(one))
    .map(({ name }) => name);
  const isTls = httpServer && "setSecureContext" in httpServer;
  return { isTls, unguarded, isAlone: /^(?:SessionAware)?Adapter$/.test(sockets.adapter.constructor.name) };
}

function refuse(client: Client, namespace: Namespace, code: ErrorCode): void {
  // A client that gets a CONNECT_ERROR never comes back by itself, one whose transport closes does: a browser that
  // comes before the login response has set its new cookie must, and one that finds a server shutting down.
  if (code === "SESSION_ROTATED" || code === "SESSIONS_CLOSED") {
    client.conn.close();
    return;
  }
  const data = closeReason(code as SessionCode);
  const isOldProtocol = client.conn.protocol === 3;
  sendPacket(client, {
    type: packetTypes.connectError,
    nsp: namespace.name,
    data: isOldProtocol ? data : { message: help[code].what, data },
  });
  // Who floods is not read any more.
  if (code === "LIMIT_REACHED") client.conn.close();
}
