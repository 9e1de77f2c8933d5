// A page's session as React state. Knows the client helper, no socket.
import { useSyncExternalStore } from "react";
import type { ClientSession } from "./client/index.js";

/** What {@link useSession} returns. */
export type SessionState<View> = Pick<ClientSession<View>, "view" | "ended" | "expiring">;

/**
 * The session of `withSession()` as state: the component renders again when it changes. On the server, where React
 * renders before there is a connection, all is undefined.
 *
 * @example
 * ```tsx
 * const session = withSession<{ name: string }>(io());
 *
 * function Account() {
 *   const { view, ended, expiring } = useSession(session);
 *   if (ended) return <a href="/login">Signed out: log in</a>;
 *   if (expiring) return <button onClick={() => session.renew()}>Stay signed in</button>;
 *   return <b>{view?.name}</b>;
 * }
 * ```
 */
export function useSession<View>(session: ClientSession<View>): SessionState<View> {
  const subscribe = subscriptionOf(session);
  return {
    view: useSyncExternalStore(subscribe, () => session.view, nothing),
    ended: useSyncExternalStore(subscribe, () => session.ended, nothing),
    expiring: useSyncExternalStore(subscribe, () => session.expiring, nothing),
  };
}

type Subscribe = (onChange: () => void) => () => void;

/** One function per session: given another function, React would unsubscribe and subscribe again. */
const subscriptions = new WeakMap<object, Subscribe>();

function subscriptionOf<View>(session: ClientSession<View>): Subscribe {
  let subscribe = subscriptions.get(session);
  if (!subscribe) {
    subscribe = (onChange) => {
      for (const event of events) session.on(event, onChange);
      return () => {
        for (const event of events) session.off(event, onChange);
      };
    };
    subscriptions.set(session, subscribe);
  }
  return subscribe;
}

const events = ["end", "change", "expiring", "renewed"] as const;
const nothing = (): undefined => undefined;
