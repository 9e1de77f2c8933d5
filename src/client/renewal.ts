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
  /** The cookie is new: renewed, here or in another tab, or another session's. */
  renewed(): void;
  /** Forgets all; goes on when it is told again how long a session lasts. */
  stop(): void;
}

/** How long a renewal waits for what the user did to have its effect, in ms. */
const grace = 1000;

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
      timer = setTimeout(resolve, Math.min(ms, longest));
    });

  const remember = (): void => {
    latest = Date.now();
    try {
      here.localStorage[name] = String(latest);
    } catch {
      // There is none, or it may not be used: then the lock alone keeps the tabs apart.
    }
  };

  /** When the cookie may be renewed again: an interval after the latest renewal in any tab. */
  const nextTime = (): number => {
    let told = latest;
    try {
      told = Math.max(told, Number(here.localStorage[name] ?? 0));
    } catch {
      // As above.
    }
    // One that is to come was noted before the clock was set back.
    return told > Date.now() ? 0 : told + interval;
  };

  const { locks } = here.navigator ?? {};

  // In turn with the other tabs: the lock is kept until the interval is over. What a tab noted that was closed or
  // reloaded meanwhile is in the storage. Without TLS there are no locks: then nobody knows whose turn it is, and
  // those who wait for the same moment must not all wake at once.
  const turn = async (): Promise<void> => {
    // Never at once: what the user does may be a login, whose new cookie a late answer to a renewal would overwrite. When
    // the login has replaced the session, nothing is due any more.
    let wait = Math.max(nextTime() - Date.now(), grace);
    while (wait > 0) {
      await pause(wait + (locks ? 0 : (Math.random() * interval) / 4));
      // Another tab may have been first.
      wait = isDue ? nextTime() - Date.now() : 0;
    }
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
    void (locks?.request(name, turn) ?? turn()).then(done, () => {});
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
