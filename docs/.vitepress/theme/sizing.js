// What a fleet costs: the formulas of docs/operate/sizing.md, for its calculator and for the test that holds the page to them.

/** The inputs of the calculator, with the example of the page. */
export const example = {
  stored: 100_000,
  online: 10_000,
  tabs: 2,
  nodes: 2,
  bytes: 200,
  requests: 200,
  events: 500,
  writes: 100,
  maxAge: 30,
};

/** Memory in MB, and commands per second to the storage. `maxAge` in minutes, `requests`, `events` and `writes` per second. */
export function costOf({ stored, online, tabs, nodes, bytes, requests, events, writes, maxAge }) {
  const lease = 30;
  const batch = 200;
  // A session's tabs come to any node; each node that has one has the session.
  const nodesOfSession = nodes * (1 - (1 - 1 / nodes) ** tabs);
  const live = online * nodesOfSession;
  const touchInterval = Math.min(60, maxAge * 6);
  const active = Math.min(online, events * touchInterval);
  return {
    storage: (stored * (bytes + 180) + live * 190) / 1e6,
    heap: (live * (1030 + bytes)) / nodes / 1e6,
    connections: (online * tabs * 10_500) / nodes / 1e6,
    commands: 2 * requests + writes * nodesOfSession + active / touchInterval + live / batch / lease,
  };
}
