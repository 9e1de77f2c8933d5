import { EventEmitter } from "node:events";
import { join } from "node:path";
import express from "express";
import { createSessions } from "socket-session";

const bus = new EventEmitter().setMaxListeners(0);
const app = express();
const sessions = createSessions({
  secret: process.env.SESSION_SECRET ?? "for development only",
  view: ({ user, likes = 0 }) => ({ user, likes }),
});

app.get("/", (req, res) => res.sendFile(join(import.meta.dirname, "index.html")));
app.use("/session", sessions.routes);
app.use(sessions.middleware, express.json());
app.post("/login", (req, res, next) => {
  // Check the password here.
  req.session.regenerate((error) => {
    if (error) return next(error);
    req.session.user = "ada";
    req.session.save((failed) => (failed ? next(failed) : res.sendStatus(204)));
  });
});
app.post("/logout", async (req, res) => {
  await sessions.destroy(req);
  res.sendStatus(204);
});
app.get("/events", (req, res) => {
  const stream = sessions.stream(req, res);
  stream.open();
  stream.listen(bus, "news");
});
app.post("/like", (req, res) => {
  req.session.likes = (req.session.likes ?? 0) + 1;
  res.sendStatus(204);
});
app.post("/say", (req, res) => {
  if (req.session.user) bus.emit("news", `${req.session.user}: ${req.body.text}`);
  res.sendStatus(204);
});
app.listen(process.env.PORT ?? 3000);
