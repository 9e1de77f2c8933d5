// The rows of the report: what each one is called and means, and in which unit.

/** Rows with a ratio to bare. */
export const costs = [
  {
    id: "connect",
    title: "CPU per connect",
    unit: "µs",
    means: "WebSocket handshake and namespace connect, with a browser's Origin and a session cookie of its own",
  },
  {
    id: "disconnect",
    title: "CPU per disconnect",
    unit: "µs",
    means: "the client closes; the server forgets all about it",
  },
  {
    id: "heap",
    title: "Heap per open connection",
    unit: "B",
    means:
      "heap in use with the connections open less heap before, after garbage collection, per connection; each has a " +
      "session of its own, which was stored before",
  },
  {
    id: "heap-read",
    title: "… that has read its session",
    unit: "B",
    means: "the same after one event on each connection has read the session",
  },
  {
    id: "read",
    title: "CPU per event, fresh read",
    unit: "µs",
    means: "the handler answers with a field of the session as it is stored now; one event at a time per socket",
  },
  {
    id: "write",
    title: "CPU per event, write",
    unit: "µs",
    means:
      "the handler increments a counter in the session; one event at a time per socket, answered when the recipe " +
      "allows (socket-session and autoSave save by themselves)",
  },
  {
    id: "write-stored",
    title: "… answered when stored",
    unit: "µs",
    means: "the same, answered only when the change is in the store (socket-session: `await socket.session.save()`)",
  },
  {
    id: "write-burst",
    title: "… in bursts of ten",
    unit: "µs",
    means: "as “write”, but ten events arrive together, as after a reconnection or from a lively page",
  },
  {
    id: "storm",
    title: "CPU per connection, all at once",
    unit: "µs",
    means: "all clients come back at once, as after a deployment",
  },
  {
    id: "storm-delay",
    title: "… 99 % of the event loop's delays",
    unit: "ms",
    means: "during that, a timer of 1 ms fires after at most this time, 99 of 100 times",
    isLatency: true,
  },
  {
    id: "busy",
    title: "CPU of 1,000 events per second",
    unit: "ms/s",
    means: "CPU time per second while 100 sockets send reading events",
  },
  {
    id: "idle",
    title: "… among idle sessions",
    unit: "ms/s",
    means: "the same in a process with many live sessions besides, which are connected over polling and silent",
  },
];

/** Rows that are the same numbers on every machine. */
export const counts = [
  {
    id: "kept",
    title: "Increments kept, bursts of ten",
    unit: "share",
    means: "the counter, read over HTTP, per event",
  },
  { id: "reads-websocket", title: "Store reads per connect, WebSocket", means: "one tab, one session" },
  {
    id: "reads-polling",
    title: "Store reads per connect, polling",
    means: "handshake, connect, five events with answers, disconnect: 14 HTTP requests",
  },
  { id: "reads-tabs", title: "Store reads, ten tabs of one session", means: "ten WebSocket connections at once" },
  { id: "reads-read", title: "Store reads per event, fresh read", means: "" },
  { id: "reads-write", title: "Store reads per event, write", means: "one event at a time per socket" },
  { id: "writes-write", title: "Store writes per event, write", means: "one event at a time per socket" },
  { id: "reads-write-burst", title: "Store reads per event, write in bursts", means: "" },
  { id: "writes-write-burst", title: "Store writes per event, write in bursts", means: "" },
];

/** What comes to Redis over the network, by command. */
export const commands = [
  { id: "commands-connect", title: "a socket that connects" },
  { id: "commands-connect-at-once", title: "… 200 at once, for each" },
  { id: "commands-read", title: "an event that reads" },
  { id: "commands-write", title: "an event that writes" },
  { id: "commands-disconnect", title: "a socket that disconnects" },
];

/** The name of a row's results: other storages than memory have rows of their own. */
export function resultOf(row, storage) {
  return storage === "memory" || storage === "counting" ? row : `${row}-${storage}`;
}
