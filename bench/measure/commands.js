// How many commands come to Redis over the network: per connect, alone and at once, per event, per disconnect.
import { closeAll, connectAll, inParallel } from "../client.js";
import { logIn } from "../http.js";

const sockets = 200;

export async function* measureCommands(server, { storage }, add) {
  const cookies = await logIn(server, sockets);
  let clients;
  const connect = (width) => async () => void (clients = await connectAll(server, cookies, width));
  const close = () => closeAll(server, clients);
  const emit = (event) => () => inParallel(clients, 4, (client) => client.emit(event));
  const count = async (row, work) => {
    const counts = await storage.commandsDuring(work);
    add(row, Object.fromEntries(Object.entries(counts).map(([name, times]) => [name, times / sockets])));
  };
  // What is done for the first of all is done before.
  await connect(16)();
  await emit("write")();
  await close();
  yield;
  await count("commands-connect", connect(1));
  await count("commands-read", emit("read"));
  await count("commands-write", emit("write"));
  await count("commands-disconnect", close);
  await count("commands-connect-at-once", connect(sockets));
  await close();
}
