// CPU time of the server process while `work` runs, in µs: of all its threads, so garbage collection is part of it.

/** Adds a row with all of the CPU time per operation, and one with the part outside the operating system. */
export async function measureCpu(server, operations, row, add, work) {
  const before = await server.ask("cpu");
  await work();
  const after = await server.ask("cpu");
  const user = (after.user - before.user) / operations;
  const system = (after.system - before.system) / operations;
  add(row, user + system);
  add(`${row}-user`, user);
}
