// Renews the cookie while the user is active, once per interval over all tabs. Knows neither sockets nor routes.
//
// Only activity leads to a renewal: a timer alone would keep the session of an unattended page for ever. Each message
// prolongs the session, so the renewal for it comes at the end of the interval: the cookie must last as long. An idle
// page adds one interval at most.
import { here, longest } from "./browser.js";

/** When a page renews its cookie. */
export interface Renewal {
  /** The user did something. */
  onActivity(): void;
  /** The session lasts this long, in ms; null: nothing ends it. */
  setExpiry(expiresIn: number | null): void;
  /** The cookie is new: this tab or another one renewed it, or it is another session's. */
  onRenewal(): void;
  /** Renews no more until the next {@link setExpiry}. */
  stop(): void;
}

/** `renew` resolves with true when the cookie is renewed. Tabs that give the same `name` take turns. */
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

  /** The time of the latest renewal in any tab, closed ones too, after writing it; 0 without a storage. */
  const latestOfTabs = (written?: number): number => {
    try {
      if (written) here.localStorage[name] = written;
      return +(here.localStorage[name] as string) || 0;
    } catch {
      // There is no storage, or the browser forbids it.
      return 0;
    }
  };

  const writeLatest = (): unknown => latestOfTabs((latest = Date.now()));

  /** How long until the cookie may be renewed again, in ms: an interval after the latest renewal in any tab. */
  const untilNext = (): number => {
    const age = Date.now() - Math.max(latest, latestOfTabs());
    // A renewal in the future: somebody has set the clock back.
    return age < 0 ? 0 : interval - age;
  };

  const locks = here.navigator?.locks;

  // All tabs wait for the same moment, and the lock lets one after the other check whether it is the first. A page
  // without TLS has no locks: there a random pause keeps the tabs from waking at once.
  const waitForTurn = async (): Promise<void> => {
    // At least a second: the activity may be a login, and a late answer to a renewal would overwrite its new cookie. Once
    // the login has replaced the session, no renewal is due.
    let wait = Math.max(untilNext(), 1000);
    while (wait > 0) {
      await pause(wait + (locks ? 0 : (Math.random() * interval) / 4));
      // Another tab may have renewed meanwhile.
      wait = isDue ? untilNext() : 0;
    }
    await (locks?.request(name, renewIfDue) ?? renewIfDue());
    isWaiting = false;
    if (isDue) onActivity();
  };

  const renewIfDue = async (): Promise<void> => {
    if (!isDue || untilNext() > 0) return;
    isDue = false;
    writeLatest();
    if (!(await renew())) isDue = true;
    // Without a storage this tab keeps the lock until the interval is over, so that no other tab renews. Only then: a tab
    // that hangs would keep the lock for ever.
    if (interval && latestOfTabs() < latest) await pause(interval);
  };

  const onActivity = (): void => {
    if (!interval) return;
    isDue = true;
    if (isWaiting) return;
    isWaiting = true;
    // Rejects where the browser forbids locks; it forbids cookies there, too.
    waitForTurn().catch(() => {});
  };

  return {
    onActivity,
    setExpiry(expiresIn) {
      // The longest so far: near an absolute limit, shorter intervals would mean more and more renewals.
      if (expiresIn) interval = Math.max(interval, expiresIn / 10, 1000);
    },
    onRenewal() {
      isDue = false;
      writeLatest();
    },
    stop() {
      interval = 0;
      isDue = false;
      clearTimeout(timer);
      wake?.();
    },
  };
}
