// Mistakes of a set-up that show only while it runs. Node prints each warning once per process; `node
// --disable-warning=CODE` turns one off.
import { seePage, SessionError } from "./errors.js";

/** Codes of the warnings, as in `process.on("warning", ({ code }) => …)`. */
export type WarningCode = keyof typeof texts;

/** The text of each warning: what happened, and the line to write. */
export const texts = {
  MEMORY_STORE_IN_PRODUCTION:
    "Sessions are in this process's memory: a restart loses them, and other processes do not see them. Fix: pass a store, for example createSessions({ store: liveStore(yourStore) }).",
  SECRET_KNOWN:
    "The secret stands in examples, and this is production: whoever knows it can sign cookies. Fix: set SESSION_SECRET to what openssl rand -base64 32 prints.",
  SECURE_COOKIE_UNSEEN:
    'cookie.secure is set, but this request came over plain HTTP from a proxy that says "https": express-session sends no cookie. Fix: app.set("trust proxy", 1), or createSessions({ proxy: true }).',
  PROXY_UNTRUSTED:
    "A handshake was refused as cross-origin; with its X-Forwarded headers trusted it is same-origin. Fix: createSessions({ proxy: true }), if a proxy of yours sets these headers.",
  CORS_WITHOUT_CREDENTIALS:
    "A cross-origin handshake came without cookies: browsers send none, as the Socket.IO server's cors option lacks credentials. Fix: cors: { origin: [...], credentials: true } on the server, withCredentials: true on the client.",
  STORES_DIFFER:
    "A request passed two session middlewares with different stores, so HTTP and sockets see different sessions. Fix: use sessions.middleware alone, or createSessions({ middleware }) with yours.",
  COOKIE_PATH_EXCLUDES_SOCKETS:
    "The session cookie's path does not cover the attached server's path: browsers do not send the cookie there. Fix: cookie: { path: \"/\" }, or give the server a path below the cookie's.",
  COOKIE_NEEDS_SECURE:
    "Browsers drop the session cookie: what it asks for needs cookie.secure. Fix: cookie: { secure: true }, and https.",
  SECURE_COOKIE_OVER_HTTP:
    'cookie.secure is set, and a request over plain HTTP got a session: browsers are sent no cookie. Fix: open the page over https. In development: createSessions({ cookie: { secure: "auto" } }).',
  MIDDLEWARE_ON_SOCKETS:
    "sessions.middleware was given to io.use(), which passes it sockets: it is for HTTP. Fix: sessions.attach(io) in its place.",
  ENGINE_MIDDLEWARE:
    "sessions.middleware was given to io.engine.use(), which runs it on each request of a socket: heartbeats keep sessions alive. Fix: remove it; sessions.attach(io) is enough.",
  SESSION_ASSIGNED:
    "A value was assigned to socket.session, and dropped: the session stays. Fix: change its fields, for example Object.assign(socket.session, { user }). To log out: await socket.session.destroy().",
  ATTACHED_LATE:
    "Clients had connected before sessions.attach(): their sockets have no session. Fix: attach before server.listen().",
  NOT_ATTACHED:
    "A page uses the session routes, and its server takes sockets, but no server is attached: sockets have no session. Fix: sessions.attach(io), before server.listen().",
  SESSION_INVALID:
    "A handshake brought a session cookie that this server did not sign. Fix: give all services the same secret. To change it, pass [newSecret, oldSecret].",
  RECORD_INVALID:
    "A record in the store is no session, and lets nobody in. Fix: destroy it; let no other program write below the store's prefix or into its table.",
  NOTICES_REFUSED:
    "The storage does not let this node hear what others change. Each event reads the store first; a logout on another node counts after a lease. Fix: grant what the storage's answer names.",
  APPLICATION_ERROR: "A function of the application failed.",
  ORIGIN_REFUSED: "A page of another origin was refused.",
  LIMIT_REACHED:
    "A connection was closed because too much waited: its messages for its session, or a stream's events for its client. Fix: check the store's latency, or raise createSessions({ maxWaitingEvents, maxWaitingBytes }) or stream(req, res, { maxBufferedBytes }).",
};

const printed = new Map<string, Set<string>>();
const keyLimit = 200;

/**
 * Prints the warning once per process, or once per `key` (at most 200 keys, so that nobody can flood the log). A detail
 * that is work to write may be a function.
 */
export function warnOnce(code: WarningCode, key = "", detail: string | (() => string) = ""): void {
  printOnce(code, key, () => {
    const more = typeof detail === "function" ? detail() : detail;
    return texts[code] + (more && ` ${more}`) + seePage(code);
  });
}

/** Prints an error that nobody listens for, once for each code and message. */
export function printUnheard(error: unknown): void {
  const hint = 'Nobody listens with sessions.on("error", …), so each kind is printed once.';
  if (error instanceof SessionError) return printOnce(error.code, "", () => `${hint} ${error.message}`);
  const { message, stack } = error as Partial<Error>;
  // Where the application's own function threw, its stack says in which line.
  warnOnce("APPLICATION_ERROR", String(message), () => `${hint} ${stack ?? String(error)}`);
}

function printOnce(code: string, key: string, write: () => string): void {
  let keys = printed.get(code);
  if (!keys) printed.set(code, (keys = new Set()));
  if (keys.has(key) || keys.size >= keyLimit) return;
  keys.add(key);
  process.emitWarning(write(), { type: "SocketSessionWarning", code });
}
