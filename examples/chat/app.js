// A chat whose pages, sockets and streams share one live session. Everything about sessions is in this file.
import { createHash, createHmac, randomBytes, randomInt, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import express from "express";
import { Server } from "socket.io";
import { createSessions } from "socket-session";

const nameForm = /^[\p{L}\p{N}][\p{L}\p{N} ._-]{1,19}$/u;
const longestText = 500;
const longestHistory = 50;

const nameHint = "A name has 2 to 20 letters, digits, spaces, dots or dashes, and starts with a letter or digit.";

const wordHint = "A secret word has at most 100 characters.";

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
  const view = ({ author, name, unread = 0, draft = "", fingerprint }) =>
    author ? { author, name, unread, draft, fingerprint } : null;
  const user = ({ author }) => author;
  const sessions = createSessions({ secret, store, view, user, cookie: { sameSite: "lax", maxAge } });

  // 2. HTTP: the page and its files need no session, everything below sessions.middleware has one. The client helper
  // of the pages uses the routes: to renew the cookie, and to collect a new one.
  app.disable("x-powered-by");
  app.use(protectPage);
  app.use(express.static(join(import.meta.dirname, "public")));
  app.get("/source/app.js", (_req, res) => res.type("text/plain").sendFile(join(import.meta.dirname, "app.js")));
  const asText = { setHeaders: (res) => void res.type("text/plain") };
  app.use("/source", express.static(join(import.meta.dirname, "public"), asText));
  app.use("/session", sessions.routes); // with /session/client.js, the page's half
  app.use(sessions.middleware);
  app.use(express.urlencoded({ extended: false, limit: "10kb" }));

  // 3. Sockets: whoever has no session is refused at the door. Only a login makes one, so that in this application
  // every socket is a user's.
  sessions.attach(io);

  /** Who logged in on this node: session id → author. A bigger application would keep this in its database. */
  const members = new Map();
  const history = [];

  app.post("/login", async (req, res) => {
    // A real application checks a password here.
    const name = nameIn(req.body?.name);
    if (!name) return void res.status(400).json({ error: nameHint });
    const word = req.body.word ?? "";
    if (typeof word !== "string" || word.length > 100) return void res.status(400).json({ error: wordHint });
    await renew(req, { author: authorOf(name, word), name, unread: 0, draft: "" });
    res.sendStatus(204);
  });

  // Everything below is for users.
  app.use((req, res, next) => {
    if (req.session.author) next();
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
    const { author, name, unread, draft } = req.session;
    await renew(req, { author, name, unread, draft });
    res.sendStatus(204);
  });

  // Ends this browser's session: all its tabs are told SESSION_DESTROYED and closed.
  app.post("/logout", async (req, res) => {
    await sessions.destroy(req);
    res.clearCookie("connect.sid").sendStatus(204);
  });

  // Ends every session of this user, in whichever browser.
  app.post("/logout-everywhere", async (req, res) => {
    await sessions.destroyUser(req.session.author);
    res.clearCookie("connect.sid").sendStatus(204);
  });

  // A stream of events is one more connection of the session, which ends with it. Here it sends the server's time.
  app.get("/clock", (req, res) => {
    const stream = sessions.stream(req, res);
    const tick = () => stream.send("clock", Date.now());
    const timer = setInterval(tick, 1000);
    stream.signal.addEventListener("abort", () => {
      clearInterval(timer);
      showTabs(stream);
    });
    tick();
    void stream.ready.then((isIn) => isIn && showTabs(stream));
  });

  app.use((error, _req, res, _next) => {
    if (res.headersSent) return void res.destroy();
    const status = error.status ?? 500;
    if (status >= 500) console.error(error);
    res.status(status).json({ error: status < 500 ? "This request is not understood." : "Something went wrong." });
  });

  /** One user: the same name and word in another browser are the same, a name alone is a stranger each time. */
  function authorOf(name, word) {
    if (word === "") return randomUUID();
    return createHmac("sha256", secret)
      .update(JSON.stringify([name, word]))
      .digest("base64url");
  }

  /** Gives the browser a new session with these fields; the one it had is over. Stops session fixation. */
  async function renew(req, fields) {
    await promisify(req.session.regenerate.bind(req.session))();
    Object.assign(req.session, fields, { fingerprint: fingerprintOf(req.sessionID) });
    await promisify(req.session.save.bind(req.session))();
    members.set(req.sessionID, fields.author);
  }

  io.on("connection", (socket) => {
    keepPerson(socket);
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

    // A login over the socket, as somebody else: a new session, whose cookie the page collects by itself. This socket goes on under it, the
    // other tabs are told SESSION_ROTATED and come back.
    answer(socket, "name", async (value) => {
      const name = nameIn(value);
      if (!name) return { error: nameHint };
      const { unread, draft } = socket.session;
      await socket.session.regenerate();
      const { id } = socket.session;
      const author = authorOf(name, "");
      Object.assign(socket.session, { author, name, unread, draft, fingerprint: fingerprintOf(id) });
      await socket.session.save();
      members.set(id, author);
      keepPerson(socket);
      showTabs(socket);
      void showPeople();
    });

    answer(socket, "message", async (value) => {
      const text = isText(value) ? value.trim() : "";
      if (text === "") return { error: `A message has 1 to ${longestText} characters.` };
      const { author, name } = socket.session;
      const message = { id: randomInt(2 ** 48 - 1), author, name, text, at: Date.now() };
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
    await countFor((member) => member !== message.author);
  }

  /** Counts one more unread message. update() is atomic: of two messages at once both are counted. */
  async function countFor(isConcerned) {
    const ids = [...members].filter(([, author]) => isConcerned(author)).map(([id]) => id);
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

  /** What is open is in no session. The room holds the session's sockets and nobody else's; each node its own. */
  function showTabs(target) {
    const live = sessions.get(target);
    if (!live || live.ended) return;
    const room = sessions.room(live.id);
    const tabs = io.of("/").adapter.rooms.get(room)?.size ?? 0;
    io.local.to(room).emit("tabs", { tabs, streams: live.connections - tabs, node });
  }

  /** For showPeople(), on other nodes, too. */
  function keepPerson(socket) {
    const { author, name } = socket.session;
    socket.data.person = { author, name };
  }

  async function showPeople() {
    try {
      const sockets = await io.fetchSockets(); // of all nodes
      const people = new Map(sockets.map(({ data }) => [data.person?.author, data.person]));
      people.delete(undefined); // one that has just got a new session is nobody for a moment
      io.emit("people", [...people.values()]);
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

/** Shows that an id is another one, and tells nothing of it: the id itself never leaves the cookie. */
const fingerprintOf = (id) => createHash("sha256").update(id).digest("hex").slice(0, 6);

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
