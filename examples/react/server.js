import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import express from "express";
import { Server } from "socket.io";
import { createSessions } from "socket-session";

const app = express();
const server = createServer(app);
const io = new Server(server);
const sessions = createSessions({
  secret: process.env.SESSION_SECRET ?? "for development only",
  cookie: { maxAge: 30 * 60_000 },
  view: ({ user, likes = 0 }) => ({ user, likes }),
}).attach(io);

app.use(express.static(join(import.meta.dirname, "dist")));
app.use("/session", sessions.routes);
app.use(sessions.middleware);
app.post("/login", async (req, res) => {
  // Check the password here.
  await promisify(req.session.regenerate).call(req.session);
  req.session.user = "ada";
  res.sendStatus(204);
});
app.post("/logout", async (req, res) => {
  await sessions.destroy(req);
  res.sendStatus(204);
});
app.get("/likes", (req, res) => res.json({ likes: req.session.likes ?? 0 }));
io.on("connection", (socket) => socket.on("like", () => (socket.session.likes = (socket.session.likes ?? 0) + 1)));
server.listen(process.env.PORT ?? 3000);
