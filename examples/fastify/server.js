import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import Fastify from "fastify";
import { Server } from "socket.io";
import sessionPlugin from "socket-session/fastify";

const page = readFileSync(join(import.meta.dirname, "index.html"));
const app = Fastify();
const io = new Server(app.server);
await app.register(sessionPlugin, {
  secret: process.env.SESSION_SECRET ?? "for development only",
  io,
  routesAt: "/session",
  view: ({ user, likes = 0 }) => ({ user, likes }),
});
app.get("/", async (request, reply) => reply.type("text/html").send(page));
app.post("/login", async (request) => {
  // Check the password here.
  await promisify(request.session.regenerate).call(request.session);
  return (request.session.user = "ada");
});
app.post("/logout", async (request, reply) => {
  await app.sessions.destroy(request);
  return reply.code(204).send();
});
app.get("/likes", async (request) => ({ likes: request.session.likes ?? 0 }));
io.on("connection", (socket) => socket.on("like", () => (socket.session.likes = (socket.session.likes ?? 0) + 1)));
await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" });
