// Keeps the cookie as long as the session: renews it while the user is active, once per interval over all tabs. Knows
// neither sockets nor routes.
//
// Renewal follows activity and nothing else. A timer alone would keep the session of an unattended page for ever, which
// is what an idle limit is there to prevent. What is done between two renewals is renewed for at the end of the
// interval, so that the cookie lasts no shorter than the session, which every message prolongs; an idle page so adds
// one interval at most.
import { here, longest } from "./browser.js";

export interface Renewal {
  /** The user did something. */
  active(): void;
  /** The session lasts this long, in ms; null: for ever. */
  lasts(life: number | null): void;
  /** The cookie was renewed, here or in another tab. */
  renewed(): void;
  /** Forgets all; goes on when it is told again how long a session lasts. */
  stop(): void;
}

/** `renew` resolves with whether it did. Tabs that give the same `name` take turns. */
export function createRenewal(name: string, renew: () => Promise<boolean>): Renewal {
  let interval = 0;
  let latest = 0;
  let isDue = false;
  let isWaiting = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wake: (() => void) | undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, Math.min(ms, interval, longest));
    });

  const remember = (): void => {
    latest = Date.now();
    try {
      if (here.localStorage) here.localStorage[name] = String(latest);
    } catch {
      // Some browsers throw where they keep nothing; then the lock alone keeps the tabs apart.
    }
  };

  const latestOfAll = (): number => {
    try {
      return Math.max(latest, Number(here.localStorage?.[name] ?? 0));
    } catch {
      return latest;
    }
  };

  // In turn with the other tabs: the lock is kept until the interval is over. What a tab remembered that was closed
  // or reloaded meanwhile, and without TLS, where there are no locks, is in the storage.
  const turn = async (): Promise<void> => {
    await pause(latestOfAll() + interval - Date.now());
    if (!isDue) return;
    isDue = false;
    remember();
    isDue = !(await renew()) || isDue;
    if (interval) await pause(interval);
  };

  const active = (): void => {
    if (!interval) return;
    isDue = true;
    if (isWaiting) return;
    isWaiting = true;
    const done = (): void => {
      isWaiting = false;
      if (isDue) active();
    };
    void (here.navigator?.locks?.request(name, turn) ?? turn()).then(done, () => {});
  };

  return {
    active,
    lasts(life) {
      // The longest that was heard of: towards an absolute limit renewals must not become more and more.
      if (life) interval = Math.max(interval, life / 10, 1000);
    },
    renewed() {
      isDue = false;
      remember();
    },
    stop() {
      interval = 0;
      isDue = false;
      clearTimeout(timer);
      wake?.();
    },
  };
}
