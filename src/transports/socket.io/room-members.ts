// Who is in the rooms of sessions: all sockets. With Socket.IO's own adapter, in memory, they join when the first such room
// is used: until then nobody can tell, and each join costs a connection time and memory. With any other adapter they join
// at connect, as other nodes may know the rooms' names; so they do with connection state recovery, which looks at rooms.
import { EventEmitter } from "node:events";
import { setHidden } from "../../internal/hidden.js";
import { type Adapter, type Namespace, namespacesOf, type Server, type Socket } from "./internals.js";
import { roomPrefix } from "./room.js";

/** Puts a socket into its session's room, where it has one. */
type Join = (socket: Socket) => void;

/** Whether a room of a session was used in this process, by whichever createSessions(): from then on all sockets join at connect. */
let areUsed = false;
/** Servers with sockets that have not joined. The application's own, which may be gone. */
const waiting = new Map<WeakRef<Server>, Join>();
const waitingServers = new WeakSet<Server>();
const watched = new WeakSet<Adapter>();

/** Whether the sockets of a namespace join at connect. Where they do not, `join` is called with each when they have to. */
export function joinsAtConnect(namespace: Namespace, join: Join): boolean {
  if (areUsed) return true;
  const { adapter, server } = namespace;
  if (watched.has(adapter)) return false;
  if (!isInMemory(adapter)) return true;
  watched.add(adapter);
  watch(adapter, adapter.apply);
  if (!waitingServers.has(server)) waiting.set(new WeakRef(server), join);
  waitingServers.add(server);
  return false;
}

/** A room of a session is being used: from now on all sockets are in theirs. */
export function useRooms(): void {
  if (areUsed) return;
  areUsed = true;
  for (const [server, join] of waiting) {
    for (const { adapter, sockets } of namespacesOf(server.deref())) {
      if (watched.has(adapter)) for (const socket of sockets.values()) join(socket);
    }
  }
  waiting.clear();
}

type MemoryAdapter = Adapter & Required<Pick<Adapter, "apply">>;

/** True for Socket.IO's own adapter and for nothing else: not for what extends it. */
function isInMemory(adapter: Adapter): adapter is MemoryAdapter {
  const prototype = Object.getPrototypeOf(adapter) as Partial<Adapter> & { readonly constructor: { name: string } };
  return (
    prototype.constructor.name === "Adapter" &&
    Object.getPrototypeOf(prototype) === EventEmitter.prototype &&
    typeof prototype.apply === "function" &&
    adapter.apply === prototype.apply
  );
}

/** A room may be named by who has kept its name, or got it from another process. */
function watch(adapter: Adapter, apply: MemoryAdapter["apply"]): void {
  const watching: typeof apply = (options, call) => {
    if (!areUsed && (hasRoom(options.rooms) || hasRoom(options.except))) useRooms();
    return apply.call(adapter, options, call);
  };
  setHidden(adapter, "apply", watching);
}

function hasRoom(names: Iterable<unknown> = []): boolean {
  for (const name of names) if (typeof name === "string" && name.startsWith(roomPrefix)) return true;
  return false;
}
