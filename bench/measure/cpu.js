// CPU time of the server process while `work` runs, in µs: of all its threads, so garbage collection is part of it.
import { setTimeout } from "node:timers/promises";

/** What a server still does when its clients are done: saves, mostly (ms). */
const rest = 30;

/** Adds a row with the CPU time per operation, user and system. */
export async function measureCpu(server, operations, row, add, work) {
  await server.ask("collect");
  const isProfiled = server.profiledRow === row && add.isCounted;
  if (isProfiled) await server.ask("startProfile");
  const before = await server.ask("cpu");
  await work();
  await setTimeout(rest);
  const after = await server.ask("cpu");
  if (isProfiled) server.profile = await server.ask("stopProfile");
  add(row, (after.user - before.user + after.system - before.system) / operations);
}
