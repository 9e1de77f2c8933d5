// A page's session in React. Knows what the client tells, nothing of sockets.
import { useSyncExternalStore } from "react";
import type { ClientCode, ClientSession } from "./client/index.js";

/** What {@link useSession} returns. */
export interface SessionState<View> {
  /** What the page may know of the session; undefined before the first connect and after the end. */
  readonly view: View | undefined;
  /** Why the session is over, or why the server refused this page; undefined while neither is so. */
  readonly ended: ClientCode | undefined;
  /** The warning that is out: the ms that were left when it came; undefined when there is none. */
  readonly expiring: { readonly in: number } | undefined;
}

/**
 * The session of `withSession()` as state of a component, which renders again when it changes. When React renders on the
 * server nothing is known yet.
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

type Subscribe = (changed: () => void) => () => void;

/** One for each session: React listens anew whenever it is given another function. */
const subscriptions = new WeakMap<object, Subscribe>();

function subscriptionOf<View>(session: ClientSession<View>): Subscribe {
  let subscribe = subscriptions.get(session);
  if (!subscribe) {
    subscribe = (changed) => {
      for (const event of events) session.on(event, changed);
      return () => {
        for (const event of events) session.off(event, changed);
      };
    };
    subscriptions.set(session, subscribe);
  }
  return subscribe;
}

const events = ["end", "change", "expiring", "renewed"] as const;
const nothing = (): undefined => undefined;
