import { createServer } from "node:http";
import { join } from "node:path";
import express from "express";
import passport from "passport";
import { Strategy } from "passport-local";
import { Server } from "socket.io";
import { createSessions } from "socket-session";

const users = new Map([["ada", { name: "ada", password: "for development only" }]]);
passport.use(
  new Strategy((name, password, done) => done(null, users.get(name)?.password === password && users.get(name))),
);
passport.serializeUser((user, done) => done(null, user.name));
passport.deserializeUser((name, done) => done(null, users.get(name)));

const app = express();
const server = createServer(app);
const io = new Server(server);
const sessions = createSessions({
  secret: process.env.SESSION_SECRET ?? "for development only",
  passport,
  user: (session) => session.passport?.user,
  view: ({ passport: login, likes = 0 }) => ({ user: login?.user, likes }),
});
sessions.attach(io, { allow: (session) => session.passport?.user !== undefined });

app.get("/", (req, res) => res.sendFile(join(import.meta.dirname, "index.html")));
app.use("/session", sessions.routes);
app.use(sessions.middleware, passport.session(), express.json());
app.post("/login", passport.authenticate("local"), (req, res) => res.sendStatus(204));
app.post("/logout", async (req, res) => {
  await sessions.destroy(req); // this browser
  res.sendStatus(204);
});
app.post("/logout-everywhere", async (req, res) => {
  if (req.user) await sessions.destroyUser(req.user.name); // each device of this user
  res.sendStatus(204);
});
io.on("connection", (socket) => {
  socket.on("like", () => (socket.session.likes = (socket.session.likes ?? 0) + 1));
  socket.on("who", async (answer) => answer((await sessions.userOf(socket))?.name));
});
server.listen(process.env.PORT ?? 3000);
