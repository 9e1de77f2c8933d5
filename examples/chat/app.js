// A chat whose pages and sockets share one live session. Everything about sessions is in this file.
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import express from "express";
import { Server } from "socket.io";
import { createSessions } from "socket-session";

const nameForm = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{1,19}$/u;
const longestText = 500;
const longestHistory = 50;

const nameHint = "A name has 2 to 20 letters, digits, spaces, dots or dashes, and starts with a letter or digit.";

const isText = (value) => typeof value === "string" && value.length <= longestText;

/**
 * Starts the chat.
 *
 * @param {object} [options]
 * @param {number} [options.port] Where to listen, or at one of the next ports; 0 takes a free one.
 * @param {string} [options.secret] Signs the session cookies. By default a new one: a restart then logs everyone out.
 * @param {number} [options.maxAge] How long a session lives without activity, in ms. Default: 8 hours.
 * @param {import("express-session").Store} [options.store] Where sessions are kept. Default: this process's memory.
 * @param {import("socket.io").ServerOptions["adapter"]} [options.adapter] Brings messages to other nodes of the chat.
 * @param {string} [options.node] What this node is called, where there are several.
 */
export async function startChat(options = {}) {
  const { port = 0, secret = randomBytes(32).toString("base64url"), maxAge = 8 * 60 * 60_000, store } = options;
  const { adapter, node } = options;
  const app = express();
  const http = createServer(app);
  const io = new Server(http, { maxHttpBufferSize: 10_000, adapter });

  // 1. One object for HTTP and sockets. The options are express-session's own, and two: the view is what a page may know
  // of its session (its open tabs are told whenever that changes, whoever changed it, on whichever node); the user is
  // whose session it is, so that all of theirs can be ended.
  const view = ({ name, unread = 0, draft = "" }) => (name ? { name, unread, draft } : null);
  const user = ({ name }) => name;
  const sessions = createSessions({ secret, store, view, user, cookie: { sameSite: "lax", maxAge } });

  // 2. HTTP: the page and its files need no session, everything below sessions.middleware has one. The client helper
  // of the pages uses the routes: to renew the cookie, and to collect a new one.
  app.disable("x-powered-by");
  app.use(protectPage);
  app.use(express.static(join(import.meta.dirname, "public")));
  app.use(express.static(fileURLToPath(new URL("dist/client", import.meta.resolve("socket-session/package.json")))));
  app.use("/session", sessions.routes);
  app.use(sessions.middleware);
  app.use(express.urlencoded({ extended: false, limit: "10kb" }));

  // 3. Sockets: whoever has no session is refused at the door. Only a login makes one, so that in this application
  // every socket is a user's.
  sessions.attach(io);

  /** Who logged in on this node: session id → name. A bigger application would keep this in its database. */
  const members = new Map();
  const history = [];

  app.post("/login", async (req, res) => {
    // A real application checks a password here.
    const name = nameIn(req.body?.name);
    if (!name) return void res.status(400).json({ error: nameHint });
    await renew(req, { name, unread: 0, draft: "" });
    res.sendStatus(204);
  });

  // Everything below is for users.
  app.use((req, res, next) => {
    if (req.session.name) next();
    else res.status(401).json({ error: "Log in first." });
  });

  // HTTP writes the field that the sockets write, too. Open tabs are told: the view has changed.
  app.post("/draft", (req, res) => {
    const text = req.body?.text;
    if (!isText(text)) return void res.status(400).json({ error: `A draft has at most ${longestText} characters.` });
    req.session.draft = text;
    res.sendStatus(204);
  });

  // A new id for the same data, as after any change of rights. The tabs are told SESSION_ROTATED and come back.
  app.post("/renew", async (req, res) => {
    const { name, unread, draft } = req.session;
    await renew(req, { name, unread, draft });
    res.sendStatus(204);
  });

  // Ends this browser's session: all its tabs are told SESSION_DESTROYED and closed.
  app.post("/logout", async (req, res) => {
    await sessions.destroy(req);
    res.clearCookie("connect.sid").sendStatus(204);
  });

  // Ends every session of this user, in whichever browser.
  app.post("/logout-everywhere", async (req, res) => {
    await sessions.destroyUser(req.session.name);
    res.clearCookie("connect.sid").sendStatus(204);
  });

  app.use((error, _req, res, _next) => {
    const status = error.status ?? 500;
    if (status >= 500) console.error(error);
    res.status(status).json({ error: status < 500 ? "This request is not understood." : "Something went wrong." });
  });

  /** Gives the browser a new session with these fields; the one it had is over. Stops session fixation. */
  async function renew(req, fields) {
    await promisify(req.session.regenerate.bind(req.session))();
    Object.assign(req.session, fields);
    await promisify(req.session.save.bind(req.session))();
    members.set(req.sessionID, fields.name);
  }

  io.on("connection", (socket) => {
    socket.data.name = socket.session.name; // for showPeople() on other nodes
    showTabs(socket);
    void showPeople();
    socket.emit("history", history);
    socket.on("disconnect", () => {
      showTabs(socket);
      void showPeople();
    });

    // socket.session is always current, and what is written to it is saved.
    answer(socket, "draft", async (text) => {
      if (!isText(text)) return { error: `A draft has at most ${longestText} characters.` };
      socket.session.draft = text;
      await socket.session.save(); // only because the answer means "it is kept"
    });

    answer(socket, "read", () => {
      socket.session.unread = 0;
    });

    // A login over the socket: a new session, whose cookie the page collects by itself. This socket goes on under it, the
    // other tabs are told SESSION_ROTATED and come back.
    answer(socket, "name", async (value) => {
      const name = nameIn(value);
      if (!name) return { error: nameHint };
      const { unread, draft } = socket.session;
      await socket.session.regenerate();
      Object.assign(socket.session, { name, unread, draft });
      await socket.session.save();
      members.set(socket.session.id, name);
      socket.data.name = name;
      showTabs(socket);
      void showPeople();
    });

    answer(socket, "message", async (value) => {
      const text = isText(value) ? value.trim() : "";
      if (text === "") return { error: `A message has 1 to ${longestText} characters.` };
      const { name } = socket.session;
      const message = { id: randomInt(2 ** 48 - 1), name, text, at: Date.now() };
      socket.session.draft = "";
      socket.session.unread = 0;
      io.emit("message", message);
      if (adapter) io.serverSideEmit("message", message);
      await Promise.all([socket.session.save(), keep(message)]);
    });
  });

  // Messages of other nodes.
  io.on("message", (message) => keep(message).catch((error) => console.error(error)));

  /** On every node: each has the history, and counts for those who logged in there. */
  async function keep(message) {
    history.push(message);
    if (history.length > longestHistory) history.shift();
    await countFor((member) => member !== message.name);
  }

  /** Counts one more unread message. update() is atomic: of two messages at once both are counted. */
  async function countFor(isConcerned) {
    const ids = [...members].filter(([, name]) => isConcerned(name)).map(([id]) => id);
    const counting = ids.map((id) =>
      sessions
        .update(id, (session) => {
          session.unread = (session.unread ?? 0) + 1;
        })
        .catch((error) => {
          if (error.code?.startsWith("SESSION_")) members.delete(id); // over: expired while no tab was open
          else throw error;
        }),
    );
    await Promise.all(counting);
  }

  sessions.on("end", (live) => members.delete(live.id));
  sessions.on("error", (error) => console.error(error));

  /** How many tabs are open is in no session. The room holds the session's sockets and nobody else's; each node its own. */
  function showTabs(socket) {
    const live = sessions.get(socket);
    if (live.ended) return;
    const tabs = node ? `${live.connections} on ${node}` : live.connections;
    io.local.to(sessions.room(live.id)).emit("tabs", tabs);
  }

  async function showPeople() {
    try {
      const sockets = await io.fetchSockets(); // of all nodes
      // One that has just got a new session has no name for a moment.
      io.emit("people", [...new Set(sockets.map(({ data }) => data.name))].filter(Boolean).sort());
    } catch {
      // A node did not answer: it is stopping, and its people come back on another.
    }
  }

  await listen(http, port);
  return {
    url: `http://localhost:${http.address().port}`,
    io,
    sessions,
    /** Closes the sockets and the server, then saves what is not saved yet. */
    async stop() {
      const closed = io.close();
      // Requests may end; connections that a browser opened ahead of time, for requests to come, never would.
      setTimeout(() => http.closeAllConnections(), 1000).unref();
      await closed;
      await sessions.close();
    },
  };
}

/** Takes this port, or one of the next where somebody else has it. */
async function listen(http, port) {
  for (let next = port; ; next++) {
    try {
      http.listen(next);
      return await once(http, "listening");
    } catch (error) {
      if (error.code !== "EADDRINUSE" || next - port >= 20) throw error;
    }
  }
}

/** The name in what a client sent; undefined where it is none. */
function nameIn(value) {
  const name = typeof value === "string" ? value.normalize("NFC").trim() : "";
  return nameForm.test(name) ? name : undefined;
}

/** Listens, and answers the client: a handler may fail because the session ended or the store is away. */
function answer(socket, event, handler) {
  socket.on(event, async (...values) => {
    const done = values.pop();
    if (typeof done !== "function") return;
    try {
      done((await handler(...values)) ?? {});
    } catch (error) {
      if (!error.code) console.error(error);
      done({ error: error.code ?? "FAILED" });
    }
  });
}

/** No scripts but ours, no frames around us, and no forms of other sites (they cannot use the cookie anyway: "lax"). */
function protectPage(req, res, next) {
  const policy = [
    "default-src 'self'",
    "img-src data:",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ];
  res.set({ "Content-Security-Policy": policy.join("; "), "X-Content-Type-Options": "nosniff" });
  const site = req.get("sec-fetch-site") ?? "same-origin";
  if (req.method === "POST" && site !== "same-origin") res.status(403).json({ error: "This form is another site's." });
  else next();
}
