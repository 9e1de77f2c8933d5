/**
 * A page's session as React state, for React 17 and newer. Knows the client helper, no socket.
 *
 * @module socket-session/react
 */
import * as React from "react";
import type { ClientSession } from "./client/index.js";

/** What {@link useSession} returns. */
export type SessionState<View> = Pick<ClientSession<View>, "view" | "ended" | "expiring">;

/**
 * The session of `withSession()` as state: the component renders again when it changes. On the server, where React
 * renders before there is a connection, all is undefined.
 *
 * @throws TypeError with the code `OPTION_INVALID`
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
  // A socket has listeners, too.
  if (typeof session?.on !== "function" || "onAnyOutgoing" in session) {
    const message = "useSession(): wrong session: give what withSession() returns. See docs/errors/OPTION_INVALID.md";
    throw Object.assign(new TypeError(message), { code: "OPTION_INVALID" });
  }
  const subscribe = subscriptionOf(session);
  return {
    view: useOutside(subscribe, () => session.view, nothing),
    ended: useOutside(subscribe, () => session.ended, nothing),
    expiring: useOutside(subscribe, () => session.expiring, nothing),
  };
}

type Subscribe = (onChange: () => void) => () => void;

/** React 17 does not have it, and needs it less: it renders in one go. Under another name no bundler misses it. */
const useOutside: typeof React.useSyncExternalStore =
  (React as Partial<typeof React>)["useSyncExternalStore"] ?? useSubscribed;

function useSubscribed<T>(subscribe: Subscribe, read: () => T): T {
  const [, setValue] = React.useState(read);
  React.useEffect(() => {
    const onChange = (): void => setValue(read);
    const unsubscribe = subscribe(onChange);
    // It may have changed since it was rendered.
    onChange();
    return unsubscribe;
  }, [subscribe]);
  return read();
}

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
