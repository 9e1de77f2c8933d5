// `socket.session`: read like a field, and kept from being replaced. What is assigned to it would be saved by nobody.
import { setHidden } from "../internal/hidden.js";
import { kindOf } from "../internal/check-options.js";
import type { SocketSession } from "../session/socket-session.js";
import { warnOnce } from "../warnings.js";

const held = Symbol("socket-session");

interface Holder {
  [held]?: SocketSession;
}

/** One for all sockets: an accessor takes no memory of each. */
const property: PropertyDescriptor & ThisType<Holder> = {
  configurable: true,
  enumerable: false,
  get() {
    return this[held];
  },
  set(value: unknown) {
    // The guide's code puts the request's session here, which is the same one.
    if (value !== this[held]) warnOnce("SESSION_ASSIGNED", "", `The value was ${kindOf(value)}.`);
  },
};

/** Gives a socket its session, or another one. */
export function setSession(socket: object, session: SocketSession): void {
  const isThere = Object.hasOwn(socket, held);
  setHidden(socket, held, session);
  if (!isThere) Object.defineProperty(socket, "session", property);
}
