// Misconfiguration that is noticed while running: each has a code and is printed once per process,
// through Node's own warnings (`node --disable-warning=CODE` turns one off).

/** Codes of the warnings; `process.on("warning", (w) => w.code)` sees them. */
export type WarningCode = keyof typeof texts;

/** What each warning says: what was noticed, and the fix. */
export const texts = {
  MEMORY_STORE_IN_PRODUCTION:
    "Sessions are kept in this process's memory: they are lost at a restart and not shared with other processes. Fix: pass a store, for example createSessions({ store: liveStore(yourStore) }).",
  SECURE_COOKIE_UNSEEN:
    'cookie.secure is set, but this request came over plain HTTP from a proxy that says "https": the session cookie is never sent. Fix: app.set("trust proxy", 1), or createSessions({ proxy: true }).',
  PROXY_UNTRUSTED:
    "A handshake was refused as foreign, but would be same-origin if its X-Forwarded headers were trusted. Fix: createSessions({ proxy: true }) if a proxy of yours sets these headers.",
  CORS_WITHOUT_CREDENTIALS:
    "A cross-origin handshake came without cookies, and the Socket.IO server's cors option has no credentials: browsers leave the cookie out. Fix: cors: { origin: [...], credentials: true } on the server and withCredentials: true on the client.",
  STORES_DIFFER:
    "A request passed two session middlewares with different stores: HTTP and sockets would see different sessions. Fix: use sessions.middleware alone, or createSessions({ middleware }) with the one you have.",
  COOKIE_PATH_EXCLUDES_SOCKETS:
    "The session cookie's path does not cover the path of the server that was attached: browsers do not send it there. Fix: cookie: { path: \"/\" }, or give the server a path below the cookie's.",
  RECORD_INVALID:
    "A record in the store is no session: it lets nobody in. Fix: let nothing else write below the store's prefix, or into its table; destroy such sessions.",
  NOTICES_REFUSED:
    "The storage does not let this node hear what others change: each event reads the store first, and a logout elsewhere counts after a lease. Fix: see what it says.",
  ORIGIN_REFUSED: "A handshake from another origin was refused.",
  LIMIT_REACHED:
    "A connection was closed, as too many of its messages waited for its session: a client floods, or the store is slow. Fix: look at the store's latency; createSessions({ maxWaitingEvents, maxWaitingBytes }) raises the limit.",
} as const;

const printed = new Map<WarningCode, Set<string>>();
const keyLimit = 200;

/** Prints the warning once per process, or once per `key` (at most 200 keys, so that nobody can flood the log). */
export function warnOnce(code: WarningCode, key = "", detail = ""): void {
  let keys = printed.get(code);
  if (!keys) printed.set(code, (keys = new Set()));
  if (keys.has(key) || keys.size >= keyLimit) return;
  keys.add(key);
  process.emitWarning(`${texts[code]}${detail ? ` ${detail}` : ""}`, { type: "SocketSessionWarning", code });
}
