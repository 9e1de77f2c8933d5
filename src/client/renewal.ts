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

/** `renew` resolves with whether it did. Tabs that give the same `name` take turns. */
export function createRenewal(name: string, renew: () => Promise<boolean>): Renewal {
  let interval = 0;
  let latest = 0;
  let isDue: boolean | undefined;
  let isWaiting: boolean | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wake: (() => void) | undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve;
      timer = setTimeout(resolve, Math.min(ms, longest));
    });

  /** What the tabs remember together, also those that were closed, when this is noted; 0 where they cannot. */
  const remembered = (noted?: number): number => {
    try {
      if (noted) here.localStorage[name] = noted;
      return +(here.localStorage[name] as string) || 0;
    } catch {
      // There is none, or it may not be used.
      return 0;
    }
  };

  const remember = (): unknown => remembered((latest = Date.now()));

  /** How long until the cookie may be renewed again, in ms: until an interval after the latest renewal in any tab. */
  const untilNext = (): number => {
    const since = Date.now() - Math.max(latest, remembered());
    // One that is to come was noted before the clock was set back.
    return since < 0 ? 0 : interval - since;
  };

  const locks = here.navigator?.locks;

  // All tabs wait for the same moment, and the lock lets one after the other look whether it is the first. Without TLS
  // there are no locks: then those who wait must not all wake at once.
  const turn = async (): Promise<void> => {
    // A second later at the earliest: what the user does may be a login, whose new cookie a late answer to a renewal would
    // overwrite. When the login has replaced the session, nothing is due any more.
    let wait = Math.max(untilNext(), 1000);
    while (wait > 0) {
      await pause(wait + (locks ? 0 : (Math.random() * interval) / 4));
      // Another tab may have been first.
      wait = isDue ? untilNext() : 0;
    }
    await (locks?.request(name, once) ?? once());
    isWaiting = false;
    if (isDue) active();
  };

  const once = async (): Promise<void> => {
    if (!isDue || untilNext() > 0) return;
    isDue = false;
    remember();
    if (!(await renew())) isDue = true;
    // Where the tabs cannot remember it, the lock tells them: it is kept until the interval is over. Nowhere else, as a tab
    // that hangs would keep it for ever.
    if (interval && remembered() < latest) await pause(interval);
  };

  const active = (): void => {
    if (!interval) return;
    isDue = true;
    if (isWaiting) return;
    isWaiting = true;
    // Fails where the locks may not be used: nor may cookies there.
    turn().catch(() => {});
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
