// Holds back a client's events while its session is being read, so that the handler that is then put on the socket
// misses none. Knows where events come in, in all versions of Socket.IO, and nothing of sessions.
import { replaceMethod } from "../../internal/hidden.js";
import { noop } from "../../internal/noop.js";
import { sharedHold } from "../../internal/shared-hold.js";
import { WaitingCount } from "../../transports/waiting-messages.js";

/**
 * Where what a client sends comes in: since 3.0, since 1.0, and before, where `$emit` tells of the end as well. Not
 * `onevent`, which other code (socketio-wildcard, tracers) wraps and replaces.
 */
const entries = ["_onpacket", "onpacket", "$emit"] as const;

interface AnySocket {
  disconnect?(isTransportToo: boolean): unknown;
  readonly _onpacket?: unknown;
  readonly onpacket?: unknown;
  readonly $emit?: unknown;
}

/** How much may wait on one socket. A client that sends more is disconnected: what waits is this node's memory. */
export const waitingCount = (): WaitingCount => new WaitingCount({ events: 1000, bytes: 2 << 20 });

/**
 * Holds back the socket's incoming events until the returned function is called, by each who holds them; then they
 * come in their order.
 */
export const holdEvents = sharedHold(startHold);

function startHold(held: object): () => void {
  const socket: AnySocket = held;
  const name = entries.find((method) => typeof socket[method] === "function");
  if (!name) return noop;
  const pass = socket[name] as (...values: unknown[]) => unknown;
  const waiting: unknown[][] = [];
  const count = waitingCount();
  let isOpen = false;
  const gate = (...values: unknown[]): unknown => {
    if (isOpen || !isEvent(name, values[0])) return pass.apply(socket, values);
    if (count.add(values)) waiting.push(values);
    else socket.disconnect?.(true);
    return undefined;
  };
  const restore = replaceMethod(socket, name, gate);
  return () => {
    isOpen = true;
    restore();
    for (const values of waiting) pass.apply(socket, values);
  };
}

/** True for what handlers hear: `EVENT` and `BINARY_EVENT` of all protocols, or anything but the end. */
function isEvent(entry: (typeof entries)[number], value: unknown): boolean {
  if (entry === "$emit") return value !== "disconnect";
  const { type } = value as { type: unknown };
  return type === 2 || type === 5;
}
