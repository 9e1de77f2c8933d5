// CPU time of the server process while it works, in µs: of all its threads, so garbage collection is part of it. The work
// is done in slices, between which the other servers have their turn: what slows the machine down slows all alike.
import { setTimeout } from "node:timers/promises";

/** What a server still does when its clients are done: saves, mostly (ms). */
const rest = 10;

/** Adds a row with the CPU time per operation, user and system. `work` is told its slice, and how many there are. */
export async function* measureCpu(server, row, { operations, slices }, add, work) {
  // Not between the slices: what these leave is theirs to collect.
  await server.ask("collect");
  const isProfiled = server.profiledRow === row && add.isCounted;
  if (isProfiled) await server.ask("startProfile");
  let used = 0;
  for (let slice = 0; slice < slices; slice++) {
    if (slice > 0) yield;
    const before = await server.ask("cpu");
    await work(slice, slices);
    await setTimeout(rest);
    used += (await server.ask("cpu")) - before;
  }
  if (isProfiled) server.profile = await server.ask("stopProfile");
  add(row, used / operations);
}

/** The part of a list that belongs to a slice. */
export function sliceOf(list, slice, slices) {
  const at = (index) => Math.round((index * list.length) / slices);
  return list.slice(at(slice), at(slice + 1));
}
