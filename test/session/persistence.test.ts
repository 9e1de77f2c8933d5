// How a session saves itself and takes in what others wrote, over a store whose answers the test has in its hands.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type EndCode, SessionError } from "../../src/errors.js";
import { monotonicNow } from "../../src/internal/monotonic.js";
import { PersistentSession } from "../../src/session/persistence.js";
import type { SessionHost } from "../../src/session/session-host.js";

const never = Number.POSITIVE_INFINITY;
const cookie = { originalMaxAge: null, expires: null, httpOnly: true, path: "/" };
const stored = (fields: object): string => JSON.stringify({ cookie, ...fields });
const fieldsOf = (text: string): object => {
  const { cookie: _, ...fields } = JSON.parse(text);
  return fields;
};
const turn = (): Promise<unknown> => new Promise((resolve) => setImmediate(resolve));
const down = (): SessionError => new SessionError("STORE_UNAVAILABLE");

/** A commit that waits for its answer. */
interface Commit {
  readonly base: () => string;
  readonly text: string;
  readonly done: () => void;
  readonly fail: (error: unknown) => void;
}

class Store {
  readonly commits: Commit[] = [];
  /** Answers a commit at once, where it is set. */
  atOnce: (() => void) | undefined;
  text: string | undefined;
  end: { code: EndCode } | undefined;

  commit(_id: string, base: () => string, text: string): Promise<void> | void {
    if (this.atOnce) return this.atOnce();
    return new Promise((resolve, reject) => this.commits.push({ base, text, done: resolve, fail: reject }));
  }

  read(_id: string, use: (text: string | undefined) => unknown): unknown {
    return use(this.text);
  }

  endOf(): { code: EndCode } | undefined {
    return this.end;
  }

  /** The last commit. */
  get last(): Commit {
    return this.commits.at(-1) as Commit;
  }
}

const host = {
  wakeAt: vi.fn(),
  onDirty: vi.fn(),
  onSaveError: vi.fn(),
  onUnmerged: vi.fn(),
  onSaved: vi.fn(),
  releaseIfIdle: vi.fn(),
};

class Session extends PersistentSession {
  readonly data = this.track(this.root) as any;
  readonly onStoredText = vi.fn();
  readonly onMissing = vi.fn(() => this.end("SESSION_DESTROYED"));

  end(code: EndCode): void {
    this.ended = code;
    this.dropChanges();
  }

  tick(now = monotonicNow()): number {
    return this.tickSaving(now);
  }

  lookSoon(): void {
    this.findUntrackedChangesSoon();
  }

  hear(error: unknown): void {
    this.throwIfOver(error);
  }

  get known(): string {
    return this.stored;
  }
}

let store: Store;
let session: Session;

afterEach(() => void vi.useRealTimers());
beforeEach(() => {
  // Time stands still; turns of the event loop go on.
  vi.useFakeTimers({ toFake: ["Date", "performance"] });
  vi.clearAllMocks();
  store = new Store();
  session = new Session("id", { ...host, store } as unknown as SessionHost<PersistentSession>);
  session.applyStored(stored({ a: 1, bag: { n: 1 } }));
  session.onStoredText.mockClear();
});

/** The store has taken the last commit, as `text`. */
async function take(text = store.last.text): Promise<void> {
  session.applyCommitted(text);
  store.last.done();
  await turn();
}

describe("a session", () => {
  test("has no data before it was read, and then what is stored", () => {
    const unread = new Session("id", { ...host, store } as never);
    expect([unread.known, unread.data.a, Object.keys(unread.data)]).toEqual(["", undefined, ["cookie"]]);
    unread.applyStored(stored({ a: 1 }));
    expect([unread.data.a, unread.isKnown(stored({ a: 1 })), unread.isKnown(undefined)]).toEqual([1, true, false]);
    expect(unread.onStoredText.mock.calls).toEqual([["", stored({ a: 1 }), ""]]);
    expect([unread.isSaved, unread.isPending, unread.isAtRest]).toEqual([true, false, true]);
  });

  test("refuses names that are none for data, and reports it", () => {
    session.data.save = 1;
    session.data.cookie.maxAge = "x";
    expect(host.onSaveError.mock.calls.map(([error]) => (error as Error).message)).toEqual([
      expect.stringContaining(`"save"`),
      expect.stringContaining(`cookie["maxAge"]`),
    ]);
    expect(session.isPending).toBe(false);
    session.data.b = 1;
    expect(host.onSaveError).toHaveBeenCalledTimes(2);
  });
});

describe("a change", () => {
  test("is saved after this turn, with all others of it", async () => {
    session.data.a = 2;
    session.data.bag.n = 2;
    expect([session.isSaved, session.isPending, session.isAtRest, store.commits.length]).toEqual([
      false,
      true,
      false,
      0,
    ]);
    expect(host.onDirty.mock.calls).toEqual([[session], [session]]);
    await turn();
    expect(store.commits.map(({ text }) => fieldsOf(text))).toEqual([{ a: 2, bag: { n: 2 } }]);
    expect(store.last.base()).toBe(stored({ a: 1, bag: { n: 1 } }));
    expect([session.isSaved, session.isPending]).toEqual([false, true]);
    await take();
    expect([session.isSaved, session.isPending, store.commits.length]).toEqual([true, false, 1]);
    expect(session.known).toBe(stored({ a: 2, bag: { n: 2 } }));
    expect(host.onSaved).toHaveBeenCalledTimes(1);
    expect(host.releaseIfIdle.mock.calls).toEqual([[session]]);
    // And the next one, too.
    session.data.a = 3;
    await turn();
    expect(store.commits).toHaveLength(2);
  });

  test("that was saved by hand is not saved again after the turn", async () => {
    session.data.a = 2;
    void session.save();
    await turn();
    expect(store.commits).toHaveLength(1);
    await take();
    expect(store.commits).toHaveLength(1);
  });

  test("while a save is under way goes with the next, once for all who wait for it", async () => {
    session.data.a = 2;
    const first = session.save();
    const same = session.save();
    session.data.a = 3;
    const later = [session.save(), session.save()];
    await turn();
    expect(store.commits).toHaveLength(1);
    await take();
    await Promise.all([first, same]);
    expect(store.commits.map(({ text }) => fieldsOf(text))).toMatchObject([{ a: 2 }, { a: 3 }]);
    expect(store.last.base()).toBe(store.commits[0]?.text);
    await take();
    await Promise.all(later);
    expect(store.commits).toHaveLength(2);
    await session.save();
    expect(store.commits).toHaveLength(2);
  });

  test("while a save is under way is saved by itself, where nobody waits for it", async () => {
    session.data.a = 2;
    await turn();
    session.data.a = 3;
    await take();
    await turn();
    expect(store.commits.map(({ text }) => fieldsOf(text))).toMatchObject([{ a: 2 }, { a: 3 }]);
  });

  test("that takes the cookie away leaves the stored one", async () => {
    delete session.data.cookie;
    void session.save();
    expect(JSON.parse(store.last.text).cookie).toEqual(cookie);
  });

  test("after the end is dropped and reported, as is what waited", async () => {
    session.data.b = 1;
    session.end("SESSION_EXPIRED");
    expect(session.isPending).toBe(false);
    session.data.c = 1;
    await turn();
    expect(store.commits).toHaveLength(0);
    expect(session.data.c).toBeUndefined();
    expect(host.onSaveError.mock.calls).toMatchObject([
      [{ code: "SESSION_EXPIRED", message: expect.stringContaining("after its end") }],
    ]);
    await expect(session.save()).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
    await expect(session.read()).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
  });
});

describe("what others wrote", () => {
  const newer = stored({ a: 5, bag: { n: 1 }, b: 5 });

  test("comes into the objects that handlers hold", () => {
    const { bag } = session.data;
    session.applyStored(stored({ a: 5, bag: { n: 7 } }));
    expect([session.data.a, bag.n]).toEqual([5, 7]);
    expect(session.onStoredText.mock.calls).toEqual([
      [stored({ a: 1, bag: { n: 1 } }), session.known, stored({ a: 1, bag: { n: 1 } })],
    ]);
  });

  test("stands under what was changed here, and is what the change stands on", async () => {
    session.data.a = 2;
    session.applyStored(newer);
    expect([session.data.a, session.data.b]).toEqual([2, 5]);
    void session.save();
    expect(store.last.base()).toBe(newer);
    expect(fieldsOf(store.last.text)).toEqual({ a: 2, bag: { n: 1 }, b: 5 });
  });

  test("while a save is under way stands under what that asked for", async () => {
    session.data.a = 2;
    void session.save();
    session.applyStored(newer);
    expect([session.data.a, session.data.b, session.known]).toEqual([2, 5, newer]);
    await take(stored({ a: 2, bag: { n: 1 }, b: 6 }));
    expect([session.data.b, session.isSaved]).toEqual([6, true]);
    expect(session.onStoredText.mock.lastCall).toEqual([
      newer,
      stored({ a: 2, bag: { n: 1 }, b: 6 }),
      stored({ a: 2, bag: { n: 1 }, b: 5 }),
    ]);
  });

  test("comes with the answer to a save, under what was changed since", async () => {
    session.data.a = 2;
    void session.save();
    session.data.bag.n = 9;
    await take(stored({ a: 2, bag: { n: 1 }, b: 5 }));
    expect(JSON.parse(JSON.stringify(session.data))).toMatchObject({ a: 2, bag: { n: 9 }, b: 5 });
    expect(fieldsOf(store.last.text)).toEqual({ a: 2, bag: { n: 9 }, b: 5 });
  });

  test("waits where the change of this node cannot be written, and is reported", async () => {
    session.data.big = 1n;
    session.applyStored(newer);
    expect([session.data.a, session.known]).toEqual([1, stored({ a: 1, bag: { n: 1 } })]);
    expect(host.onSaveError.mock.calls).toMatchObject([[{ code: "DATA_INVALID" }]]);
    expect(session.onStoredText).not.toHaveBeenCalled();
  });

  test("with a save that cannot be brought in is not known: what was sent is", async () => {
    session.data.a = 2;
    void session.save();
    session.data.big = 1n;
    await take(stored({ a: 2, bag: { n: 1 }, b: 5 }));
    expect(session.known).toBe(stored({ a: 2, bag: { n: 1 } }));
    expect(session.data.b).toBeUndefined();
  });

  test("is no answer to a save where none is under way, where it had its answer, or after the end", async () => {
    session.applyCommitted(newer);
    session.data.a = 2;
    void session.save();
    const { text } = store.last;
    session.applyCommitted(text);
    session.applyCommitted(newer);
    expect(session.known).toBe(text);
    store.last.done();
    await turn();
    session.data.a = 3;
    void session.save();
    session.end("SESSION_EXPIRED");
    session.applyCommitted(newer);
    expect(session.known).toBe(text);
  });

  test("by an earlier save of this node, whose answer was lost, is no change of the save under way", async () => {
    session.applyConfirmed(newer, stored({ a: 5, bag: { n: 1 } }));
    expect(session.known).toBe(newer);
    session.data.a = 2;
    void session.save();
    const sent = stored({ a: 6, bag: { n: 1 }, b: 5 });
    session.applyConfirmed(stored({ a: 6, bag: { n: 1 }, b: 5, c: 1 }), sent);
    expect(store.last.base()).toBe(sent);
    expect([session.data.a, session.data.c]).toEqual([2, 1]);
    session.data.big = 1n;
    session.applyConfirmed(stored({ a: 7 }), stored({}));
    expect(store.last.base()).toBe(sent);
    delete session.data.big;
    session.end("SESSION_EXPIRED");
    session.applyConfirmed(stored({ a: 8 }), stored({}));
    expect(session.known).toBe(stored({ a: 6, bag: { n: 1 }, b: 5, c: 1 }));
  });
});

describe("reading", () => {
  test("takes what is stored", async () => {
    store.text = stored({ a: 9 });
    await session.read();
    expect(session.data.a).toBe(9);
    expect(session.ended).toBeUndefined();
  });

  test("of what is gone ends the session with its reason, or asks what its absence means", async () => {
    await session.read();
    expect(session.onMissing).toHaveBeenCalledTimes(1);
    const rotated = new Session("id", { ...host, store } as never);
    store.end = { code: "SESSION_ROTATED" };
    await rotated.read();
    expect([rotated.ended, rotated.onMissing.mock.calls.length]).toEqual(["SESSION_ROTATED", 0]);
  });

  test("that finds nothing says nothing where the session ended meanwhile", async () => {
    store.end = { code: "SESSION_ROTATED" };
    const reading = session.read();
    session.end("SESSION_EXPIRED");
    await reading;
    expect([session.ended, session.onMissing.mock.calls.length]).toEqual(["SESSION_EXPIRED", 0]);
  });
});

describe("a save that fails", () => {
  test("is tried again by the clock, not by each change; its changes stay", async () => {
    session.data.a = 2;
    const saving = session.save();
    store.last.fail(down());
    await expect(saving).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect(host.onSaveError.mock.calls).toMatchObject([[{ code: "STORE_UNAVAILABLE" }]]);
    const [[, retryAt]] = host.wakeAt.mock.calls as [[Session, number]];
    expect(retryAt).toBeGreaterThan(monotonicNow());
    expect([session.isSaved, session.isAtRest]).toEqual([false, false]);
    session.data.b = 1;
    await turn();
    expect(store.commits).toHaveLength(1);
    expect(session.tick(retryAt - 1)).toBe(retryAt);
    expect(store.commits).toHaveLength(1);
    session.tick(retryAt);
    expect(fieldsOf(store.last.text)).toMatchObject({ a: 2, b: 1 });
    expect(store.commits).toHaveLength(2);
    await take();
    expect([session.isSaved, session.tick(retryAt)]).toEqual([true, never]);
    expect(store.commits).toHaveLength(2);
    // As if nothing had been.
    session.data.b = 2;
    await turn();
    expect(store.commits).toHaveLength(3);
  });

  test("and that nobody waits for ends no process", async () => {
    session.data.a = 2;
    await turn();
    store.last.fail(down());
    await turn();
    expect(session.isPending).toBe(true);
  });

  test("with data that the store refuses is not tried again before something is changed", async () => {
    session.data.a = 2;
    await turn();
    store.last.fail(new SessionError("DATA_INVALID"));
    await turn();
    expect([session.isAtRest, session.isSaved, session.tick(1e15)]).toEqual([true, false, never]);
    expect(host.wakeAt).not.toHaveBeenCalled();
    expect(store.commits).toHaveLength(1);
    session.data.a = 3;
    expect(session.isAtRest).toBe(false);
    await turn();
    expect(store.commits).toHaveLength(2);
  });

  test("with data that the store refuses is tried with what was changed meanwhile", async () => {
    session.data.a = 2;
    await turn();
    session.data.a = 3;
    store.last.fail(new SessionError("DATA_INVALID"));
    await turn();
    await turn();
    expect(store.commits.map(({ text }) => fieldsOf(text))).toMatchObject([{ a: 2 }, { a: 3 }]);
  });

  test("because the data cannot be written fails at once, asks for nothing, and is not waited for", async () => {
    session.data.big = 1n;
    await expect(session.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
    expect(host.onSaveError).toHaveBeenCalledTimes(1);
    expect([store.commits.length, session.isAtRest, session.tick(1e15)]).toEqual([0, true, never]);
    delete session.data.big;
    await turn();
    expect(store.commits).toHaveLength(1);
  });

  test.each<[string, string, number]>([
    ["SESSION_ROTATED", "SESSION_ROTATED", 0],
    ["SESSION_UNKNOWN", "SESSION_DESTROYED", 1],
  ])("with %s ends the session, and has the code of that end", async (code, ended, missing) => {
    session.data.a = 2;
    const saving = session.save();
    store.last.fail(new SessionError(code as EndCode));
    await expect(saving).rejects.toMatchObject({ code: ended });
    expect([session.ended, session.onMissing.mock.calls.length]).toEqual([ended, missing]);
    expect([session.isPending, host.onSaveError.mock.calls.length, host.releaseIfIdle.mock.calls.length]).toEqual([
      false,
      0,
      0,
    ]);
  });

  test("after the session's end fails with the end's code", async () => {
    session.data.a = 2;
    const saving = session.save();
    session.end("SESSION_EXPIRED");
    store.last.fail(new SessionError("SESSION_UNKNOWN"));
    await expect(saving).rejects.toMatchObject({ code: "SESSION_EXPIRED" });
    expect(session.onMissing).not.toHaveBeenCalled();
    expect(host.wakeAt).not.toHaveBeenCalled();
    for (const error of [new SessionError("SESSION_UNKNOWN"), down()])
      expect(() => session.hear(error)).toThrow(expect.objectContaining({ code: "SESSION_EXPIRED" }));
    expect(session.onMissing).not.toHaveBeenCalled();
  });

  test("and was given up is neither tried again nor reported, until something is changed", async () => {
    session.data.a = 2;
    const saving = session.save();
    session.abandon();
    store.last.fail(down());
    await expect(saving).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect([session.isSaved, session.tick(), host.onSaveError.mock.calls.length]).toEqual([true, never, 0]);
    session.data.a = 3;
    const again = session.save();
    store.last.fail(down());
    await expect(again).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    expect([session.isPending, host.onSaveError.mock.calls.length]).toEqual([true, 1]);
  });
});

describe("a store that answers at once", () => {
  test("has saved when save() returns", async () => {
    store.atOnce = () => undefined;
    session.data.a = 2;
    const saving = session.save();
    expect([session.isSaved, fieldsOf(session.known)]).toEqual([true, { a: 2, bag: { n: 1 } }]);
    await saving;
    session.data.a = 3;
    await turn();
    expect(session.isSaved).toBe(true);
    expect(host.onSaved).toHaveBeenCalledTimes(2);
  });

  test("and fails harms nobody, and is tried again", async () => {
    store.atOnce = () => {
      throw down();
    };
    session.data.a = 2;
    await turn();
    expect([session.isPending, host.onSaveError.mock.calls.length]).toEqual([true, 1]);
    await expect(session.save()).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    store.atOnce = () => undefined;
    session.tick(never);
    expect(session.isSaved).toBe(true);
  });
});

describe("an object that the application holds untracked", () => {
  let held: unknown[];

  beforeEach(async () => {
    held = session.data.cart ??= [];
    await turn();
    await take();
    store.commits.length = 0;
  });

  test("is looked at by the clock, for a minute", async () => {
    const [[, lookAt]] = host.wakeAt.mock.calls as [[Session, number]];
    expect(lookAt).toBeGreaterThan(monotonicNow());
    expect(session.tick(lookAt - 1)).toBe(lookAt);
    expect(session.tick(lookAt)).toBeCloseTo(lookAt + 100, 0);
    expect(session.isPending).toBe(false);
    held.push("apple");
    expect(session.isPending).toBe(false);
    session.tick(lookAt + 100);
    expect(session.isPending).toBe(true);
    await turn();
    expect(fieldsOf(store.last.text)).toMatchObject({ cart: ["apple"] });
    await take();
    expect(session.tick(lookAt + 60_000)).toBe(never);
    held.push("pear");
    expect([session.tick(never), session.isSaved]).toEqual([never, true]);
  });

  test("is looked at before the session is said to be saved, and before it is saved", async () => {
    held.push("apple");
    expect(session.isSaved).toBe(false);
    await turn();
    await take();
    held.push("pear");
    void session.save();
    expect(fieldsOf(store.last.text)).toMatchObject({ cart: ["apple", "pear"] });
  });

  test("is looked at after the turn of an event, once for all of them", async () => {
    session.lookSoon();
    session.lookSoon();
    held.push("apple");
    await turn();
    expect(host.onDirty).toHaveBeenCalledTimes(2);
    await turn();
    await take();
    held.push("pear");
    session.lookSoon();
    expect(session.isPending).toBe(false);
    await turn();
    expect(session.isPending).toBe(true);
  });

  test("that was put in while others are looked at anyway is looked at with them", async () => {
    const looked = vi.spyOn(session, "findUntrackedChanges");
    session.lookSoon();
    session.data.other = {};
    session.lookSoon();
    const before = looked.mock.calls.length;
    await turn();
    // Once by the turn of the event, once by the save.
    expect(looked.mock.calls.length - before).toBe(2);
  });

  test("keeps its changes where others write", () => {
    held.push("apple");
    session.applyStored(stored({ a: 5, bag: { n: 1 }, cart: [] }));
    expect([session.data.a, session.data.cart[0]]).toEqual([5, "apple"]);
  });

  test("with what cannot be written is a change, which fails", async () => {
    held.push(1n);
    expect(session.isSaved).toBe(false);
    await expect(session.save()).rejects.toMatchObject({ code: "DATA_INVALID" });
  });

  test("is not looked at after the end, nor while a save is under way", async () => {
    session.data.a = 2;
    await turn();
    held.push("apple");
    session.findUntrackedChanges();
    expect(host.onDirty).toHaveBeenCalledTimes(2);
    session.lookSoon();
    session.end("SESSION_EXPIRED");
    session.findUntrackedChanges();
    await turn();
    expect([session.tick(), host.onDirty.mock.calls.length]).toEqual([never, 2]);
  });
});

test("without such an object nothing is compared after events", async () => {
  session.lookSoon();
  Object.assign(rootOf(session), { hidden: 1 });
  await turn();
  expect([session.isSaved, host.onDirty.mock.calls.length]).toEqual([true, 0]);
});

/** What stands behind the proxies. */
function rootOf(one: Session): object {
  return (one as unknown as { root: object }).root;
}
