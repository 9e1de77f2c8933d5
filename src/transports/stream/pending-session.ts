// The session of a stream whose client is still being admitted: until then the one on its request, which was read when
// the request came. Knows no stream.
import type { SocketSession } from "../../session/socket-session.js";

/** A session object that is `live()` from when that is there, and `before()` until then. */
export function sessionUntil(live: () => object | undefined, before: () => object): SocketSession {
  const now = (): object => live() ?? before();
  return new Proxy(
    {},
    {
      get: (_, key) => Reflect.get(now(), key) as unknown,
      set: (_, key, value) => Reflect.set(now(), key, value),
      has: (_, key) => Reflect.has(now(), key),
      deleteProperty: (_, key) => Reflect.deleteProperty(now(), key),
      ownKeys: () => Reflect.ownKeys(now()),
      getPrototypeOf: () => Reflect.getPrototypeOf(now()),
      getOwnPropertyDescriptor(_, key) {
        const descriptor = Reflect.getOwnPropertyDescriptor(now(), key);
        // A property that the proxy's own target lacks must say so.
        return descriptor && { ...descriptor, configurable: true };
      },
    },
  ) as SocketSession;
}
