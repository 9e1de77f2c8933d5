// Next.js on a custom server: Socket.IO stands beside it, and each request has its session before Next gets it.
import { createServer } from "node:http";
import next from "next";
import { Server } from "socket.io";
import { createSessions } from "socket-session";
import { requests } from "./session.js";

const app = next({ dev: process.env.NODE_ENV !== "production" });
await app.prepare();
const handle = app.getRequestHandler();

// Next's own upgrades, of its development mode, are left to Next.
const io = new Server({ destroyUpgrade: false });
const sessions = createSessions({ secret: process.env.SESSION_SECRET ?? "for development only" }).attach(io);
const server = createServer((req, res) => {
  sessions.middleware(req, res, (error) => {
    if (error) res.writeHead(503).end();
    else requests.run(req, handle, req, res);
  });
});
io.attach(server);
io.on("connection", (socket) => socket.on("like", () => (socket.session.likes = (socket.session.likes ?? 0) + 1)));
server.listen(process.env.PORT ?? 3000);
