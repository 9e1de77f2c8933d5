// The measured process: one contestant behind Express and Socket.IO. Started by servers.js, does what it is told
// over IPC. Arguments: the contestant's module, and the storage of its sessions.
import { createServer } from "node:http";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setImmediate } from "node:timers/promises";
import express from "express";
import { Server } from "socket.io";
import { statements } from "./contestants/clients.js";
import { calls } from "./counting-store.js";

const [module, storage] = process.argv.slice(2);
const { start } = await import(module);

const app = express();
const http = createServer(app);
// Long enough that no heartbeat falls into a measurement.
const io = new Server(http, { pingInterval: 1_200_000 });
const { read, write, writeStored, stream } = await start({ app, io, secret: "a secret for benchmarks", storage });

app.post("/login", (request, response) => {
  if (request.session) {
    request.session.user = "ada";
    request.session.cart = ["apple", "pear", "plum"];
    request.session.count = 0;
  }
  response.json({});
});
app.get("/count", (request, response) => response.json(request.session.count));
app.post("/change", (request, response) => {
  request.session.count++;
  response.end();
});
app.post("/forbid", (request, response) => {
  delete request.session.user;
  response.end();
});
if (stream) app.get("/stream", stream);
app.post("/logout", (request, response, next) => {
  request.session.destroy((error) => (error ? next(error) : response.end()));
});

io.on("connection", (socket) => {
  socket.on("ping", (acknowledge) => acknowledge());
  socket.on("read", (acknowledge) => read(socket, acknowledge));
  socket.on("write", (acknowledge) => write(socket, acknowledge));
  socket.on("writeStored", (acknowledge) => writeStored(socket, acknowledge));
});

let delays;
let profiler;

const commands = {
  /** CPU time that this process has used, user and system (µs). */
  cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Nobody pays for what another has left. */
  collect: () => globalThis.gc(),
  /** The heap in use, once all that can go has gone. */
  async heap() {
    for (let pass = 0; pass < 4; pass++) {
      globalThis.gc();
      await setImmediate();
    }
    return process.memoryUsage().heapUsed;
  },
  connections: () => io.engine.clientsCount,
  calls: () => ({ ...calls }),
  statements: () => ({ ...statements }),
  watchDelays() {
    delays = monitorEventLoopDelay({ resolution: 1 });
    delays.enable();
  },
  /** How long the event loop let a timer of 1 ms wait, 99 of 100 times (ms). */
  delay() {
    delays.disable();
    return delays.percentile(99) / 1e6;
  },
  async startProfile() {
    profiler = new Session();
    profiler.connect();
    await profiler.post("Profiler.enable");
    await profiler.post("Profiler.setSamplingInterval", { interval: 200 });
    await profiler.post("Profiler.start");
  },
  async stopProfile() {
    const { profile } = await profiler.post("Profiler.stop");
    profiler.disconnect();
    return profile;
  },
};

process.on("message", async (command) => process.send({ answer: await commands[command]() }));
process.on("disconnect", () => process.exit());

http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => process.send({ port: http.address().port }));
