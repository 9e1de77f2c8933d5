// CPU per event that reads the session fresh, or writes it: one at a time, and in bursts.
import { closeAll, connectAll } from "../client.js";
import { countsOf } from "../http.js";
import { measureCpu } from "./cpu.js";

const burst = 10;

export async function measureEvents(server, { sockets, events }, add) {
  const cookies = server.cookies.slice(0, sockets);
  const clients = await connectAll(server, cookies);
  const total = sockets * events;
  const emitAll = (event, size) => Promise.all(clients.map((client) => client.emitAll(event, events, size)));
  const measure = async (row, event, size) => {
    if (add.isWanted(row)) await measureCpu(server, total, row, add, () => emitAll(event, size));
  };
  const { hasSession, savesUnseen } = server.contestant;
  // What is done for the first event of a connection is done before anything counts.
  await Promise.all(clients.map((client) => client.emit("write")));
  await measure("read", "read", 1);
  await measure("write", "write", 1);
  if (!savesUnseen) await measure("write-stored", "writeStored", 1);
  if (hasSession && add.isWanted("write-burst")) {
    const before = await countsOf(server, cookies);
    await measure("write-burst", "write", burst);
    const after = await countsOf(server, cookies);
    add("kept", (sum(after) - sum(before)) / total);
  } else await measure("write-burst", "write", burst);
  await closeAll(server, clients);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
