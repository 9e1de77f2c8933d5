// Who is measured, in the order of the tables. Each file is one way to give sockets their session.

/** The contestant that all others are compared with. */
export const baseline = "bare";

/** This library. */
export const ours = "socket-session";

/** This library, where each client is asked about. */
export const oursWithAllow = "socket-session-allow";

const everywhere = ["memory", "redis", "postgres", "counting"];
const inMemory = ["memory", "counting"];

/** `savesUnseen`: it cannot tell when a change is stored. */
export const contestants = [
  {
    name: baseline,
    title: "bare",
    about: "Socket.IO without any session",
    hasSession: false,
    storages: ["memory", "redis", "postgres"],
  },
  {
    name: "guide",
    title: "guide",
    about:
      "Socket.IO's guide “How to use with express-session”: `io.engine.use(sessionMiddleware)`, `reload()` where " +
      "freshness is asked, `reload()`, change, `save()` where something is written. On Redis with connect-redis, on " +
      "PostgreSQL with connect-pg-simple",
    hasSession: true,
    storages: everywhere,
  },
  {
    name: "express-socket.io-session",
    title: "e-s.io-s",
    about:
      "express-socket.io-session with `autoSave: false`: `reload()` where freshness is asked, change and `save()` " +
      "(no `reload()`, as in its documentation) where something is written",
    hasSession: true,
    storages: inMemory,
  },
  {
    name: "express-socket.io-session-autosave",
    title: "e-s.io-s autoSave",
    about: "express-socket.io-session with `autoSave: true`: it saves by itself; it cannot tell when that is done",
    hasSession: true,
    savesUnseen: true,
    storages: inMemory,
  },
  {
    name: ours,
    title: "socket-session",
    about: "this library with its default store, `redisStore()` and `postgresStore()`",
    hasSession: true,
    storages: everywhere,
  },
  {
    name: oursWithAllow,
    title: "… with allow",
    about: "the same, with `allow: ({ user }) => user !== undefined`, which is asked about each client and each change",
    module: "socket-session",
    hasSession: true,
    hasAllow: true,
    storages: ["memory"],
  },
];

export const contestantsOn = (storage) => contestants.filter(({ storages }) => storages.includes(storage));
