// The measured process: one contestant behind Express and Socket.IO. Started by servers.js, does what it is told
// over IPC. Arguments: the contestant's module, and "counting" where store calls are counted.
import { createServer } from "node:http";
import { setImmediate } from "node:timers/promises";
import express from "express";
import { Server } from "socket.io";
import { CountingStore } from "./counting-store.js";

const [module, mode] = process.argv.slice(2);
const { start } = await import(module);
const store = mode === "counting" ? new CountingStore() : undefined;

const app = express();
const http = createServer(app);
// Long enough that no heartbeat falls into a measurement.
const io = new Server(http, { pingInterval: 600_000 });
const { read, write, writeStored, statements } = start({ app, io, secret: "a secret for benchmarks", store });

app.post("/login", (request, response) => {
  if (request.session) {
    request.session.user = "ada";
    request.session.cart = ["apple", "pear", "plum"];
    request.session.count = 0;
  }
  response.json({});
});
app.get("/count", (request, response) => response.json(request.session.count));

io.on("connection", (socket) => {
  socket.on("ping", (acknowledge) => acknowledge());
  socket.on("read", (acknowledge) => read(socket, acknowledge));
  socket.on("write", (acknowledge) => write(socket, acknowledge));
  socket.on("writeStored", (acknowledge) => writeStored(socket, acknowledge));
});

const commands = {
  cpu: () => process.cpuUsage(),
  async heap() {
    for (let pass = 0; pass < 4; pass++) {
      globalThis.gc();
      await setImmediate();
    }
    return process.memoryUsage().heapUsed;
  },
  connections: () => io.engine.clientsCount,
  counts: () => ({ reads: store.reads, writes: store.writes }),
  /** Those that a contestant counts itself. */
  statements: () => ({ ...statements() }),
};

process.on("message", async (command) => process.send({ answer: await commands[command]() }));
process.on("disconnect", () => process.exit());

http.listen(0, "127.0.0.1", () => process.send({ port: http.address().port }));
