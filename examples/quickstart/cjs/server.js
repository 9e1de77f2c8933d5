const { createServer } = require("node:http");
const express = require("express");
const { Server } = require("socket.io");
const { createSessions } = require("socket-session");
const app = express();
const server = createServer(app);
const io = new Server(server);
const secret = process.env.SESSION_SECRET ?? "for development only";
const sessions = createSessions({ secret, view: ({ user, likes = 0 }) => ({ user, likes }) }).attach(io);
app.use("/session", sessions.routes).use(sessions.middleware);
app.post("/login", (req, res) => req.session.regenerate(() => res.end((req.session.user = "ada"))));
app.post("/logout", (req, res) => req.session.destroy(() => res.end()));
io.on("connection", (socket) => socket.on("like", () => (socket.session.likes = (socket.session.likes ?? 0) + 1)));
app.get("/", (req, res) =>
  res.send(`<button id="login">Log in</button> <button id="like">Like</button> <button id="logout">Log out</button>
<p id="text">…</p> <script src="/socket.io/socket.io.js"></script> <script src="/session/client.js"></script> <script>
  const post = (path) => fetch(path, { method: "POST" }).then((answer) => answer.text());
  const socket = io(), session = SocketSession.withSession(socket);
  session.on("change", ({ user, likes }) => (text.textContent = user + ": " + likes + " likes"));
  session.on("end", ({ code }) => (text.textContent = "No session: " + code));
  login.onclick = () => post("/login").then(() => socket.connect());
  logout.onclick = () => post("/logout"), like.onclick = () => socket.emit("like");
</script>`),
);
server.listen(process.env.PORT ?? 3000);
