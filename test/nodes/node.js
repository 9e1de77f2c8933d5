// One node of a fleet, in a process of its own: Express, Socket.IO and sessions on the store that it is told.
// Started by test/support/fleet.ts, which tells it what to do by messages.
import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import express from "express";
import { Server } from "socket.io";
import { createSessions } from "../../dist/esm/index.js";
import { backendOf } from "../../dist/esm/store/live-store.js";

const settings = JSON.parse(process.argv[2] ?? "{}");
const { store, end } = await openStore(settings.store);
const user = (session) => session.user;
const sessions = createSessions({ secret: "a secret for tests", store, user, ...settings.sessions });
const errors = [];
sessions.on("error", (error) => errors.push(error.code ?? String(error)));

const lost = [];
sessions.on("lost", (live, what) => {
  lost.push(`${live.data.user} ${what}`);
  process.send?.({ lost: { id: live.id, what } });
});

const isUser = ({ user, isForbidden }) => Boolean(user) && !isForbidden;
const app = express();
const http = createServer(app);
const io = new Server(http);
app.use(sessions.middleware);
app.use(express.json());
sessions.attach(io, settings.onlyUsers ? { allow: isUser } : {});

app.post("/login", (req, res, next) => {
  req.session.regenerate((error) => {
    if (error) return next(error);
    const { maxAge, ...fields } = req.body;
    if (maxAge !== undefined) req.session.cookie.maxAge = maxAge;
    Object.assign(req.session, fields);
    req.session.save((failed) => (failed ? next(failed) : res.json({})));
  });
});
app.post("/logout", (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.json({}))));
app.post("/set", (req, res) => res.json(Object.assign(req.session, req.body) && {}));
app.post("/put", ({ session, body }, res, next) => {
  (session.kept ??= {})[body.key] = body.value;
  session.save((failed) => (failed ? next(failed) : res.json({})));
});
app.post("/delete", ({ session, body }, res, next) => {
  if (session.kept?.[body.key] === undefined) return void res.sendStatus(409);
  delete session.kept[body.key];
  session.save((failed) => (failed ? next(failed) : res.json({})));
});
app.post("/forbid", ({ session }, res, next) => {
  session.isForbidden = true;
  session.save((failed) => (failed ? next(failed) : res.json({})));
});
app.post("/count", async (req, res) => res.json({ count: await sessions.update(req, raise(req.body.mark)) }));
app.get("/session", (req, res) => {
  const { cookie: _, ...data } = req.session;
  res.json(data);
});

app.get("/events", (req, res) => {
  const stream = sessions.stream(req, res, { allow: (session) => isUser(session) && session.user !== "nobody" }).open();
  const tell = (live) => live.id === stream.session.id && stream.send("user", { user: stream.session.user });
  res.on("close", () => sessions.off("change", tell));
  // Before that the stream has no session to look at. One that was refused has none at all.
  void stream.ready.then((isIn) => isIn && sessions.on("change", tell));
});

app.get("/devices", async (req, res) => res.json(await sessions.ofUser(req.session.user)));
app.post("/logout-elsewhere", async (req, res) => {
  res.json({ ended: await sessions.destroyUser(req.session.user, { except: req }) });
});

io.on("connection", (socket) => {
  socket.on("get", (done) => done({ ...socket.session, cookie: undefined }));
  socket.on("set", (fields, done) => done(void Object.assign(socket.session, fields)));
  const told = (saving, done) => {
    saving.then(
      () => done("saved"),
      (error) => done(error.code),
    );
  };
  socket.on("save", (done) => told(socket.session.save(), done));
  socket.on("put", (key, value, done) => {
    (socket.session.kept ??= {})[key] = value;
    told(socket.session.save(), done);
  });
  socket.on("delete", (key, done) => {
    if (socket.session.kept?.[key] === undefined) return done("absent");
    delete socket.session.kept[key];
    told(socket.session.save(), done);
  });
  socket.on("count", (mark, done) => told(sessions.update(socket, raise(mark)), done));
});

/** Counts; with a mark it notes of each how often it was counted. */
function raise(mark) {
  return (data) => {
    if (mark !== undefined) (data.marks ??= {})[mark] = (data.marks[mark] ?? 0) + 1;
    return (data.count = (data.count ?? 0) + 1);
  };
}

/** By how many ms the clock of this node is ahead. */
let ahead = 0;
let isClockOurs = false;

/**
 * Sets the clock of this node alone, as an operator would set the system's: `Date.now()` and `new Date()` of this process
 * are `ms` ahead from now on. Timers and `performance.now()` are monotonic, and stay as they are.
 */
function setClock(ms) {
  ahead = ms;
  if (isClockOurs) return;
  isClockOurs = true;
  const RealDate = Date;
  const realNow = Date.now;
  RealDate.now = () => realNow() + ahead;
  // What was made before stays an instance of it.
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, values, made) => Reflect.construct(target, values.length === 0 ? [target.now()] : values, made),
  });
}

const commands = {
  /** Raises a counter of a session `times` times, as quickly as it can, and sets a field of its own. */
  async work({ id, field, times }) {
    const backend = backendOf(sessions.store);
    const before = backend.retries;
    await Promise.all(Array.from({ length: times }, () => sessions.update(id, raise())));
    await sessions.update(id, (data) => (data[field] = times));
    return backend.retries - before;
  },
  async state() {
    const { size, pending, store } = sessions;
    return { size, pending, hears: store.hears, isHearing: store.isHearing, isDown: store.isDown, errors, lost };
  },
  async setClock({ ms }) {
    setClock(ms);
  },
  async close() {
    const closed = io.close();
    http.closeAllConnections(); // no request came over some
    await closed;
    await sessions.close().catch(() => {});
    await end();
    process.disconnect();
    return {};
  },
};

process.on("message", async ({ number, name, values }) => {
  try {
    process.send({ number, answer: await commands[name](values) });
  } catch (error) {
    process.send({ number, error: `${error.code}: ${error.message}` });
  }
});
process.on("disconnect", () => setTimeout(() => process.exit(), 5000).unref());

http.listen(settings.port ?? 0, "127.0.0.1");
await once(http, "listening");
process.send({ port: http.address().port });

async function openStore({ kind, url, ...options }) {
  if (kind === "postgres") {
    const { default: pg } = await import("pg");
    const { postgresStore } = await import("../../dist/esm/postgres.js");
    const pool = new pg.Pool({ connectionString: url });
    pool.on("error", () => {});
    return { store: postgresStore({ pool, createTable: true, ...options }), end: () => pool.end() };
  }
  const { client: name, ports, sentinels, nodeAddressMap, RESP, ...storeOptions } = options;
  const { redisStore } = await import("../../dist/esm/redis.js");
  const open = name === "ioredis" ? openIoRedis : openNodeRedis;
  const { client, end } = await open({ url, ports, sentinels, nodeAddressMap, RESP });
  return { store: redisStore({ client, ...storeOptions }), end };
}

async function openNodeRedis({ url, ports, sentinels, nodeAddressMap, RESP }) {
  const { createClient, createCluster, createSentinel } = await import("redis");
  const nodesOf = (list) => list.map((port) => ({ host: "127.0.0.1", port }));
  const client = ports
    ? createCluster({ rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })), nodeAddressMap, RESP })
    : sentinels
      ? createSentinel({ name: "main", sentinelRootNodes: nodesOf(sentinels), nodeAddressMap })
      : createClient({ url, RESP });
  client.on("error", () => {});
  // The client of a cluster does not try again by itself, and a master may be away just now.
  while (
    !(await client.connect().then(
      () => true,
      () => false,
    ))
  )
    await delay(100);
  return { client, end: async () => client.destroy() };
}

/** It connects by itself, and tries again. */
async function openIoRedis({ url, ports, sentinels, nodeAddressMap }) {
  const { Cluster, Redis } = await import("ioredis");
  const nodesOf = (list) => list.map((port) => ({ host: "127.0.0.1", port }));
  const client = ports
    ? new Cluster(nodesOf(ports), { natMap: nodeAddressMap })
    : sentinels
      ? new Redis({ sentinels: nodesOf(sentinels), name: "main", natMap: nodeAddressMap })
      : new Redis(url);
  client.on("error", () => {});
  return { client, end: async () => client.disconnect() };
}
