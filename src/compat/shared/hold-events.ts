// Holds back what a client sends while its session is still being read, so that the handler that is put on the socket
// then misses nothing. Knows where incoming events pass in all versions of Socket.IO, and nothing of sessions.

// Since 1.0 they pass through `onevent`, before through `$emit`, which tells of the end as well.
interface AnySocket {
  disconnect?(isTransportToo: boolean): unknown;
  onevent?: unknown;
  $emit?: unknown;
}

interface Hold {
  holders: number;
  release(): void;
}

/** So many events may wait on one socket. A client that sends more is disconnected: what waits is this node's memory. */
export const mostWaiting = 1000;

const holds = new WeakMap<object, Hold>();

/**
 * Holds back the socket's incoming events until the returned function is called, by each who holds them; then they
 * come in their order.
 */
export function holdEvents(socket: object): () => void {
  const hold = holds.get(socket) ?? startHold(socket);
  if (!hold) return () => undefined;
  hold.holders++;
  let isHolding = true;
  return () => {
    if (!isHolding) return;
    isHolding = false;
    if (--hold.holders === 0) hold.release();
  };
}

function startHold(socket: AnySocket): Hold | undefined {
  const name = (["onevent", "$emit"] as const).find((method) => typeof socket[method] === "function");
  if (!name) return undefined;
  const pass = socket[name] as (...values: unknown[]) => unknown;
  const wasOwn = Object.hasOwn(socket, name);
  const waiting: unknown[][] = [];
  let isOpen = false;
  const gate = (...values: unknown[]): unknown => {
    if (isOpen || values[0] === "disconnect") return pass.apply(socket, values);
    if (waiting.length < mostWaiting) waiting.push(values);
    else socket.disconnect?.(true);
    return undefined;
  };
  socket[name] = gate;
  const hold: Hold = {
    holders: 0,
    release() {
      holds.delete(socket);
      isOpen = true;
      // Somebody else may stand before it by now.
      if (socket[name] === gate) {
        if (wasOwn) socket[name] = pass;
        else delete socket[name];
      }
      for (const values of waiting) pass.apply(socket, values);
    },
  };
  holds.set(socket, hold);
  return hold;
}
