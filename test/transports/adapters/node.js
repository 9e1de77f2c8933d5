// One node with an official adapter of Socket.IO: each socket has a session, and the node does what it is told by POST.
import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { Server } from "socket.io";
import { createSessions } from "../../../dist/esm/index.js";

/** What stands in each session, with a mark by which it is found on the bus. */
const fields = { secret: "the mark of a session", cart: ["apple"], address: { city: "Ulm", lines: [["here"]] } };

export async function startNode(adapter) {
  const commands = {
    nodes: () => io.of("/").adapter.serverCount(),
    fetch: async () =>
      (await io.fetchSockets()).map(({ id, rooms, data, handshake }) => ({ id, rooms: [...rooms], data, handshake })),
    join: (room) => io.socketsJoin(room),
    disconnect: (room) => io.in(room).disconnectSockets(),
    ask: () => io.serverSideEmitWithAck("ask", first().session.address),
    emit: () => {
      const { cart, address } = first().session;
      io.emit("text", cart, { address, list: [cart, [address]] });
      io.emit("binary", Buffer.from("bytes"), address);
    },
    // No store can keep it, so it stands in the session until then.
    big: () => void (first().session.big = 1n),
  };
  const http = createServer(async (request, response) => {
    const { name, values } = await json(request);
    response.end(JSON.stringify((await commands[name](...values)) ?? null));
  });
  const io = new Server(http, { adapter });
  const sessions = createSessions({ secret: "a secret for tests" });
  sessions.on("error", () => undefined);
  sessions.attach(io, { missing: "create" });
  io.on("connection", (socket) => {
    Object.assign(socket.session, fields);
    socket.data.address = socket.session.address;
  });
  io.on("ask", (value, done) => done({ value, cart: first().session.cart }));
  const first = () => [...io.of("/").sockets.values()][0];
  // Workers of a cluster share what is not exclusive.
  http.listen({ port: 0, host: "127.0.0.1", exclusive: true });
  await once(http, "listening");
  return {
    url: `http://127.0.0.1:${http.address().port}`,
    close: async () => {
      await io.close();
      await sessions.close();
    },
  };
}
