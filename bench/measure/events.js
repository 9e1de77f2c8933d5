// CPU per event that reads the session fresh, or writes it: one at a time, and in bursts.
import { closeAll, connectAll } from "../client.js";
import { countsOf } from "../http.js";
import { measureCpu } from "./cpu.js";

const burst = 10;

export async function measureEvents(server, { sockets, events }, add) {
  const cookies = server.cookies.slice(0, sockets);
  const clients = await connectAll(server, cookies);
  const total = sockets * events;
  const measure = (row, event, size) =>
    measureCpu(server, total, row, add, () =>
      Promise.all(clients.map((client) => client.emitAll(event, events, size))),
    );
  const { hasSession, savesUnseen } = server.contestant;
  // What is left of connecting is done before anything counts.
  await Promise.all(clients.map((client) => client.emitAll("read", events, 1)));
  await measure("read", "read", 1);
  if (!savesUnseen) await measure("write-stored", "writeStored", 1);
  await measure("write", "write", 1);
  const before = hasSession && (await countsOf(server, cookies));
  await measure("write-burst", "write", burst);
  if (hasSession) {
    const after = await countsOf(server, cookies);
    add("kept", (sum(after) - sum(before)) / total);
  }
  await closeAll(server, clients);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
