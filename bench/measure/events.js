// CPU per event that reads the session fresh, or writes it: one at a time, and in bursts.
import { closeAll, connectAll } from "../client.js";
import { countsOf } from "../http.js";
import { measureCpu } from "./cpu.js";

const burst = 10;

export async function* measureEvents(server, { sockets, events, slices }, add) {
  const cookies = server.cookies.slice(0, sockets);
  const clients = await connectAll(server, cookies);
  const { hasSession, savesUnseen } = server.contestant;
  const perSlice = Math.ceil(events / slices / burst) * burst;
  const amount = { operations: sockets * perSlice * slices, slices };
  const measure = async function* (row, event, size) {
    if (!add.isWanted(row)) return;
    yield* measureCpu(server, row, amount, add, () =>
      Promise.all(clients.map((client) => client.emitAll(event, perSlice, size))),
    );
  };
  // What is done for the first event of a connection is done before anything counts.
  await Promise.all(clients.map((client) => client.emit("write")));
  yield* measure("read", "read", 1);
  yield* measure("write", "write", 1);
  if (!savesUnseen) yield* measure("write-stored", "writeStored", 1);
  const before = hasSession && (await countsOf(server, cookies));
  yield* measure("write-burst", "write", burst);
  if (hasSession) {
    const after = await countsOf(server, cookies);
    if (add.isWanted("write-burst")) add("kept", (sum(after) - sum(before)) / amount.operations);
  }
  await closeAll(server, clients);
}

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}
