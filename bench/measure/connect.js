// CPU per connect and per disconnect, over WebSocket, each client with a session of its own.
import { closeAll, connectAll } from "../client.js";
import { measureCpu } from "./cpu.js";

export async function measureConnect(server, { connects }, add) {
  // Each round takes other sessions.
  const cookies = server.cookies.splice(0, connects);
  server.cookies.push(...cookies);
  let clients;
  await measureCpu(server, connects, "connect", add, async () => {
    clients = await connectAll(server, cookies);
  });
  await measureCpu(server, connects, "disconnect", add, () => closeAll(server, clients));
}
