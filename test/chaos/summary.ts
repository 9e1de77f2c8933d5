// What a run was made of, in a few lines: a run in which little happened shows little.
import type { History } from "./history.js";

export function summary({ operations, sockets, faults, restored, losses }: History): string {
  const forbids = operations.flatMap((one) => (one.kind === "forbid" ? { ...one, ends: [one.session] } : []));
  const answered = counted(operations.map(({ kind, outcome }) => `${kind}${outcome === "ok" ? "" : " failed"}`));
  const opened = sockets.filter(({ connected }) => connected !== undefined);
  const ends = counted(opened.map(({ told, isOwn }) => told ?? (isOwn ? "closed by the client" : "lost")));
  const refused = counted(sockets.filter(({ connected }) => connected === undefined).map(({ told }) => told ?? "lost"));
  const waited = operations.filter(
    ({ kind, via, outcome }) => kind === "put" && via === "socket" && outcome === "STORE_UNAVAILABLE",
  );
  const outages = faults.filter(({ isOutage }) => isOutage).reduce((sum, { from, to }) => sum + to - from, 0);
  const restoredLosses = losses.filter(({ session, at }) => at >= (restored.get(session) ?? Number.POSITIVE_INFINITY));
  return [
    `operations: ${listed(answered)}`,
    `sockets: ${listed(ends)}; refused: ${listed(refused)}`,
    `from an acknowledged end to the close: ${delays({ operations, sockets })}`,
    `from an acknowledged change that forbids a session's sockets: ${delays({ operations: forbids, sockets })}`,
    `faults: ${listed(counted(faults.map(({ what }) => what.replace(/^\w\d+/, "a node"))))}`,
    `${restored.size} sessions that had ended were brought back by an older snapshot`,
    `losses that were told: ${losses.length}, of them ${restoredLosses.length} of what a snapshot undid`,
    `the storage was away for ${(outages / 1000).toFixed(1)} s, ${waited.length} changes of sockets waited for it`,
  ].join("\n");
}

/** How long sockets were open after their session was known to have ended (ms). */
function delays({ operations, sockets }: Pick<History, "operations" | "sockets">): string {
  const endedAt = new Map<string, number>();
  for (const { ends, outcome, to } of operations) {
    if (outcome === "ok")
      for (const session of ends ?? []) endedAt.set(session, Math.min(to, endedAt.get(session) ?? to));
  }
  const delays = sockets.flatMap(({ session, connected, closed = Number.POSITIVE_INFINITY }) => {
    const at = endedAt.get(session);
    return at === undefined || connected === undefined || closed < at ? [] : [closed - Math.max(at, connected)];
  });
  const sorted = delays.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(0);
  return `${sorted.length} sockets, median ${at(0.5)} ms, 95 % ${at(0.95)} ms, longest ${at(1)} ms`;
}

function counted(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return counts;
}

function listed(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
}
