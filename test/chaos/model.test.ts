// The judge of a run is judged: for each rule a history that breaks it, and the nearest one that does not.
import { describe, expect, test } from "vitest";
import { deadline } from "./bounds.js";
import type { Fault, Loss, Operation, SocketLife } from "./history.js";
import { violations } from "./model.js";

const limits = { lease: 1000, maxStale: 3000, timeout: 1000, slack: 400 };
/** The lease, a tick of the clock, and the slack. */
const bound = 1500;
const end = 100_000;

type Told = Partial<Operation> & Pick<Operation, "kind" | "from">;

function operation(told: Told): Operation {
  return { session: "ada/1", via: "http", node: "a1", outcome: "ok", to: told.from + 10, ...told };
}

function socket(told: Partial<SocketLife> = {}): SocketLife {
  return { number: 1, session: "ada/1", node: "b1", from: 20, connected: 30, closed: end, isOwn: true, ...told };
}

function outage(from: number, to: number): Fault {
  return { what: "the storage is stopped", from, to, isOutage: true };
}

function clock(from: number, to: number, skew: number): Fault {
  return { what: "a clock is set", from, to, isOutage: false, skew };
}

const login: Told = { kind: "login", from: 0 };

interface More {
  readonly sockets?: SocketLife[];
  readonly faults?: Fault[];
  readonly deaths?: [string, number][];
  readonly restored?: number;
  readonly losses?: Loss[];
  readonly first?: Told;
}

function broken(
  operations: Told[],
  { sockets = [], faults = [], deaths = [], restored, losses = [], first = login }: More = {},
): string[] {
  const known = {
    operations: [first, ...operations].map(operation),
    sockets,
    faults,
    losses,
    deaths: new Map(deaths),
    ids: new Map([["ada/1", "an id"]]),
    restored: new Map(restored === undefined ? [] : [["ada/1", restored]]),
  };
  return violations(known, limits, end).map(({ text }) => text);
}

function read(from: number, seen: Operation["seen"], more: Partial<Operation> = {}): Told {
  return { kind: "read", from, seen: { user: "ada", ...seen }, ...more };
}

function put(from: number, value: number, more: Partial<Operation> = {}): Told {
  return { kind: "put", from, key: "k", value, ...more };
}

const none = { seen: {} };

describe("nobody is logged out", () => {
  test("a session that nothing ended is there", () => {
    expect(broken([{ kind: "read", from: 100, ...none }])).toEqual([
      "http read from 100 to 110: logged out, although nothing ended the session",
    ]);
    expect(broken([{ kind: "read", from: 100, ...none, outcome: "500" }])).toEqual([]);
    expect(
      broken([
        { kind: "logout", from: 105, ends: ["ada/1"], outcome: "500" },
        { kind: "read", from: 100, ...none },
      ]),
    ).toEqual([]);
  });

  test.each([
    ["SESSION_DESTROYED", "logout"],
    ["SESSION_ROTATED", "login"],
    ["SESSION_UNKNOWN", "logout"],
  ] as const)("%s is told after a %s only", (told, kind) => {
    const sockets = [socket({ closed: 500, told, isOwn: false })];
    const asked = (from: number): Told => ({
      kind,
      from,
      session: kind === "login" ? "ada/2" : "ada/1",
      ends: ["ada/1"],
    });
    expect(broken([], { sockets })).toHaveLength(1);
    expect(broken([asked(600)], { sockets })).toHaveLength(1);
    expect(broken([asked(400)], { sockets })).toEqual([]);
    const other = { DESTROYED: "login", ROTATED: "logout" }[told.slice(8)] as Operation["kind"] | undefined;
    if (other) expect(broken([{ ...asked(400), kind: other }], { sockets })).toHaveLength(1);
  });

  test("a logout elsewhere ends sessions of the user of which the client did not know yet", () => {
    const sockets = [socket({ closed: 500, told: "SESSION_DESTROYED", isOwn: false })];
    const elsewhere: Told = { kind: "logout elsewhere", from: 400, session: "ada/2", ends: [] };
    expect(broken([elsewhere], { sockets })).toEqual([]);
    expect(broken([{ ...elsewhere, session: "bob/2" }], { sockets })).toHaveLength(1);
  });

  test("SESSION_FORBIDDEN is told after the session was forbidden only", () => {
    const sockets = [socket({ closed: 500, told: "SESSION_FORBIDDEN", isOwn: false })];
    expect(broken([], { sockets })).toHaveLength(1);
    expect(broken([{ kind: "logout", from: 400, ends: ["ada/1"] }], { sockets })).toHaveLength(1);
    expect(broken([{ kind: "forbid", from: 600 }], { sockets })).toHaveLength(1);
    expect(broken([{ kind: "forbid", from: 400, outcome: "500" }], { sockets })).toEqual([]);
  });

  test("an expiry comes when it is due", () => {
    const sockets = [socket({ closed: 1500, told: "SESSION_EXPIRED", isOwn: false })];
    const expiring = (maxAge: number, faults: Fault[] = []): string[] => {
      return broken([], { sockets, faults, first: { ...login, maxAge } });
    };
    expect(expiring(1400)).toEqual([]);
    expect(expiring(2000)).toHaveLength(1);
    // Sooner where a clock was ahead.
    expect(expiring(2000, [clock(0, 10, 600)])).toEqual([]);
    expect(expiring(2000, [clock(0, 10, 300)])).toHaveLength(1);
    expect(expiring(2000, [clock(0, 10, -600)])).toEqual([]);
  });

  test("other codes are never right", () => {
    expect(broken([], { sockets: [socket({ told: "SESSION_INVALID" })] })).toHaveLength(1);
  });

  test("an outage closes sockets after maxStale only", () => {
    const closedAt = (closed: number): string[] =>
      broken([], {
        sockets: [socket({ closed, told: "STORE_UNAVAILABLE", isOwn: false })],
        faults: [outage(1000, 9000)],
      });
    expect(closedAt(3500)).toHaveLength(1);
    expect(closedAt(4500)).toEqual([]);
    expect(closedAt(50_000)).toHaveLength(1);
  });
});

describe("nothing is alive that was ended", () => {
  test("an acknowledged end is seen by every later read of HTTP", () => {
    const logout = (outcome: string): Told => ({ kind: "logout", from: 100, ends: ["ada/1"], outcome });
    expect(broken([logout("ok"), read(200, {})])).toEqual([
      "http read from 200 to 210: alive, although it ended before 110",
    ]);
    expect(broken([logout("500"), read(200, {})])).toEqual([]);
    expect(broken([logout("ok"), read(105, {})])).toEqual([]);
  });

  test("its sockets are closed within the bound", () => {
    const logout: Told = { kind: "logout", from: 1000, ends: ["ada/1"] };
    const closedAt = (closed: number | undefined, faults: Fault[] = []): string[] =>
      broken([logout], {
        sockets: [socket(closed === undefined ? { isOwn: false } : { closed, isOwn: false })],
        faults,
      });
    expect(closedAt(1010 + bound)).toEqual([]);
    expect(closedAt(1020 + bound)).toHaveLength(1);
    const { closed: _, ...open } = socket();
    expect(broken([logout], { sockets: [open] })).toHaveLength(1);
    expect(closedAt(1020 + bound, [outage(1500, 2000)])).toEqual([]);
  });

  test("a socket whose session is forbidden is closed within the bound", () => {
    const forbid: Told = { kind: "forbid", from: 1000 };
    const closedAt = (closed: number, told: Partial<Told> = {}): string[] =>
      broken([{ ...forbid, ...told }], { sockets: [socket({ closed, isOwn: false })] });
    expect(closedAt(1010 + bound)).toEqual([]);
    expect(closedAt(1020 + bound)).toEqual([
      `socket 1 was open at ${1020 + bound}, but was not allowed after ${1010 + bound}`,
    ]);
    expect(closedAt(1020 + bound, { outcome: "500" })).toEqual([]);
    expect(broken([forbid], { sockets: [socket({ from: 4000, connected: 4010, closed: 4020 })] })).toHaveLength(1);
    // What was there before may come back with a snapshot.
    expect(broken([forbid], { restored: 2000, sockets: [socket({ closed: 4000 })] })).toEqual([]);
  });

  test("nobody is let in after the bound", () => {
    const logout: Told = { kind: "logout", from: 1000, ends: ["ada/1"] };
    expect(broken([logout], { sockets: [socket({ from: 4000, connected: 4010, closed: 4020 })] })).toHaveLength(1);
  });

  test("a restored snapshot brings nothing back where the end is remembered", () => {
    const logout: Told = { kind: "logout", from: 1000, ends: ["ada/1"] };
    const seen = (from: number, node: string, ends: Told[] = [logout]): string[] =>
      broken([...ends, read(from, {}, { node })], { restored: 2000 });
    expect(seen(3000, "a1")).toHaveLength(1);
    expect(seen(3000, "b1")).toEqual([]);
    expect(seen(1500, "b1")).toHaveLength(1);
    expect(seen(70_000, "a1")).toEqual([]);
    // Somebody else may have ended it: then this node found nothing to end.
    expect(seen(3000, "a1", [{ ...logout, node: "b1", outcome: "504" }, logout])).toEqual([]);
    const admitted = (node: string): string[] => {
      const late = socket({ node, from: 2500, connected: 2510, closed: 2520 });
      return broken([logout], { restored: 2000, sockets: [late] });
    };
    expect(admitted("a1").join()).toContain("was let in by the node that had ended the session");
    expect(admitted("b1")).toEqual([]);
    const open = (closed: number): string[] =>
      broken([logout], { restored: 2000, sockets: [socket({ closed, isOwn: false, told: "SESSION_DESTROYED" })] });
    expect(open(9000)).toEqual([]);
    expect(broken([logout], { restored: 5000, sockets: [socket({ closed: 4000 })] })).toHaveLength(1);
  });

  test("an idle socket is closed when its session expires", () => {
    const expiring = (closed: number, faults: Fault[] = []): string[] =>
      broken([], { sockets: [socket({ closed })], faults, first: { ...login, maxAge: 2000 } });
    expect(expiring(2030 + bound)).toEqual([]);
    expect(expiring(2040 + bound)).toHaveLength(1);
    // Later where a clock was behind, or the session was made by one that was ahead.
    for (const skew of [-3000, 3000]) {
      expect(expiring(15_030 + bound, [clock(0, 2000, skew)])).toEqual([]);
      expect(expiring(15_040 + bound, [clock(0, 2000, skew)])).toHaveLength(1);
      expect(expiring(2040 + bound, [clock(9000, 9500, skew)])).toHaveLength(1);
    }
  });

  test("no socket is open all through an outage that is longer than maxStale", () => {
    const faults = [outage(1000, 15_000)];
    expect(broken([], { sockets: [socket({ closed: 20_000 })], faults })).toHaveLength(1);
    expect(broken([], { sockets: [socket({ closed: 5000 })], faults })).toEqual([]);
    expect(broken([], { sockets: [socket({ closed: 14_000 })], faults: [outage(1000, 4000)] })).toEqual([]);
  });
});

describe("no acknowledged change is lost", () => {
  test("HTTP reads it at once", () => {
    expect(broken([put(100, 1), read(200, { kept: { k: 1 } })])).toEqual([]);
    expect(broken([put(100, 1), read(200, {})])).toHaveLength(1);
    expect(broken([put(100, 1, { outcome: "500" }), read(200, {})])).toEqual([]);
    expect(broken([put(100, 1), read(105, {})])).toEqual([]);
  });

  test("a value is the latest, or one of those that were written at the same time", () => {
    const seen = (value: number, ...puts: Told[]): string[] => broken([...puts, read(500, { kept: { k: value } })]);
    expect(seen(1, put(100, 1), put(200, 2))).toHaveLength(1);
    expect(seen(1, put(100, 1), put(105, 2))).toEqual([]);
    expect(seen(3, put(100, 1), put(200, 2))).toHaveLength(1);
    // What was not acknowledged is saved when the storage is back.
    expect(seen(1, put(100, 1, { outcome: "STORE_UNAVAILABLE" }), put(200, 2))).toEqual([]);
  });

  test("a socket sees what its own node wrote at once, what others wrote within the bound", () => {
    const seenBy = (node: string, from: number): string[] =>
      broken([put(100, 1), read(from, {}, { via: "socket", node, socket: 1 })]);
    expect(seenBy("a1", 200)).toHaveLength(1);
    expect(seenBy("b1", 200)).toEqual([]);
    expect(seenBy("b1", 110 + bound)).toHaveLength(1);
    const logout: Told = { kind: "logout", from: 105, ends: ["ada/1"] };
    expect(broken([logout, put(100, 1), read(200, {}, { via: "socket", node: "a1", socket: 1 })])).toEqual([]);
  });

  test("what was deleted stays so", () => {
    const remove = (from: number, outcome = "ok", more: Partial<Operation> = {}): Told => ({
      kind: "delete",
      from,
      key: "k",
      outcome,
      ...more,
    });
    expect(broken([put(100, 1), remove(200), read(300, {})])).toEqual([]);
    expect(broken([put(100, 1), remove(200), read(300, { kept: { k: 1 } })])).toHaveLength(1);
    expect(broken([put(100, 1), remove(105), read(300, { kept: { k: 1 } })])).toEqual([]);
    expect(broken([put(100, 1), remove(200, "503"), read(300, { kept: { k: 1 } })])).toEqual([]);
    expect(broken([put(100, 1), remove(200, "503"), read(300, {})])).toEqual([]);
    expect(broken([put(100, 1), remove(305), read(300, {})])).toEqual([]);
    expect(broken([put(100, 1), remove(315), read(300, {})])).toHaveLength(1);
    // What waits on its node is saved in the end.
    const waits = remove(200, "STORE_UNAVAILABLE", { via: "socket" });
    expect(broken([put(100, 1), waits, read(300, { kept: { k: 1 } })])).toEqual([]);
    expect(broken([put(100, 1), waits, read(300, { kept: { k: 1 } }, { isFinal: true })])).toHaveLength(1);
  });

  test("no loss is told but of what was restored", () => {
    const losses = [{ session: "ada/1", what: "changes", node: "b1", at: 500 }];
    expect(broken([], { losses })).toHaveLength(1);
    expect(broken([], { losses, restored: 600 })).toHaveLength(1);
    expect(broken([], { losses, restored: 400 })).toEqual([]);
  });

  test("what a node could not save is there when it had time to, and in the end", () => {
    const lost = (from: number, isFinal: boolean, died?: number): number => {
      const waits = put(100, 1, { via: "socket", outcome: "STORE_UNAVAILABLE", node: "b1" });
      const deaths: [string, number][] = died === undefined ? [] : [["b1", died]];
      return broken([waits, read(from, {}, { isFinal })], { deaths }).length;
    };
    expect(lost(2000, true)).toBe(1);
    expect(lost(2000, false)).toBe(0);
    expect(lost(90_000, false)).toBe(1);
    expect(lost(90_000, true, 2000)).toBe(0);
    expect(lost(90_000, false, 80_000)).toBe(1);
  });

  test("each acknowledged count counts, and no other counts twice", () => {
    const count = (from: number, outcome = "ok", value?: number): Told => ({
      kind: "count",
      from,
      outcome,
      ...(value !== undefined && { value }),
    });
    const seen = (value: number): string[] =>
      broken([count(100), count(120), count(140, "STORE_UNAVAILABLE"), read(200, { count: value })]);
    expect([1, 2, 3, 4].map((value) => seen(value).length)).toEqual([1, 0, 0, 1]);
    const marked = (marks: Record<string, number>): string[] =>
      broken([count(100, "ok", 7), count(120, "504", 8), read(200, { count: 2, marks })]);
    expect(marked({ 7: 1 })).toEqual([]);
    expect(marked({ 7: 1, 8: 1 })).toEqual([]);
    expect(marked({ 7: 2 })).toHaveLength(1);
    expect(marked({ 8: 1 })).toHaveLength(1);
  });

  test("a socket never goes back in time", () => {
    const counts = (first: number, second: number): string[] =>
      broken([
        { kind: "count", from: 50 },
        read(100, { count: first }, { via: "socket", node: "b1", socket: 1 }),
        read(200, { count: second }, { via: "socket", node: "b1", socket: 1 }),
      ]);
    expect(counts(0, 1)).toEqual([]);
    expect(counts(1, 0)).toHaveLength(1);
  });
});

describe("a replica that takes the primary's place may not have what was just acknowledged", () => {
  const faults: Fault[] = [{ ...outage(1000, 2000), mayUndo: true }];
  /** Whether something that takes 10 ms must have been kept, by when it began: at 880 the replica surely has it. */
  const isKept = (run: (from: number) => string[]): boolean[] =>
    [880, 900, 1500, 2000, 2010].map((from) => run(from).length > 0);
  const notInBetween = [true, false, false, false, true];

  test("changes and counts may be lost, those before and after not", () => {
    expect(isKept((from) => broken([put(from, 1), read(3000, {})], { faults }))).toEqual(notInBetween);
    const count = (from: number): Told => ({ kind: "count", from });
    expect(isKept((from) => broken([count(from), read(3000, {})], { faults }))).toEqual(notInBetween);
    expect(isKept((from) => broken([count(from), read(3000, { count: 2 })], { faults }))).toEqual(Array(5).fill(true));
  });

  test("a login may be lost, and its sockets end with it", () => {
    const lostLogin = (from: number): string[] =>
      broken([{ kind: "read", from: 3000, ...none }], { faults, first: { ...login, from } });
    expect(isKept(lostLogin)).toEqual(notInBetween);
    const sockets = [socket({ from: 2500, connected: 2510, closed: 2600, told: "SESSION_DESTROYED", isOwn: false })];
    expect(isKept((from) => broken([], { faults, sockets, first: { ...login, from } }))).toEqual(notInBetween);
  });

  test("a logout may be lost, and what forbids sockets", () => {
    const lostLogout = (from: number): string[] =>
      broken([{ kind: "logout", from, ends: ["ada/1"] }, read(3000, {})], { faults });
    expect(isKept(lostLogout)).toEqual(notInBetween);
    const lostForbid = (from: number): string[] => broken([{ kind: "forbid", from }], { faults, sockets: [socket()] });
    expect(isKept(lostForbid)).toEqual(notInBetween);
  });

  test("what a socket sees goes back in time then only", () => {
    const counts = (first: number, second: number): number =>
      broken(
        [
          { kind: "count", from: 950 },
          read(first, { count: 1 }, { via: "socket", node: "b1", socket: 1 }),
          read(second, { count: 0 }, { via: "socket", node: "b1", socket: 1 }),
        ],
        { faults },
      ).length;
    expect([counts(965, 980), counts(965, 1100), counts(2100, 2200), counts(50_000, 50_100)]).toEqual([1, 0, 0, 1]);
  });

  test("a loss is told where something may be lost", () => {
    const told = (changed: number, at: number): number =>
      broken([put(changed, 1)], { faults, losses: [{ session: "ada/1", what: "changes", node: "b1", at }] }).length;
    expect([told(880, 2000), told(950, 2000), told(950, 990), told(2010, 3000)]).toEqual([1, 0, 1, 1]);
  });

  test("a change of a socket that waited may be saved just then", () => {
    const waits = put(500, 1, { via: "socket", outcome: "STORE_UNAVAILABLE", node: "b1" });
    expect(broken([waits, read(90_000, {})], { faults })).toEqual([]);
    expect(broken([{ ...waits, from: 2010 }, read(90_000, {})], { faults })).toHaveLength(1);
  });
});

describe("the bound", () => {
  test("is a lease, a tick and what the machine needs", () => {
    expect(deadline([], limits, 1000)).toBe(1000 + bound);
  });

  test("is not longer for those that a fault does not concern", () => {
    const logout: Told = { kind: "logout", from: 1000, ends: ["ada/1"] };
    const closed = (id: string): string[] =>
      broken([logout], {
        sockets: [socket({ closed: 1020 + bound, isOwn: false })],
        faults: [{ ...outage(1500, 2000), concerns: (one) => one === id }],
      });
    expect(closed("an id")).toEqual([]);
    expect(closed("another id")).toHaveLength(1);
  });

  test("counts from when a storage is back and surely used again", () => {
    const [back, waited] = [1200, 200];
    const used = back + waited + limits.timeout + 1500;
    expect(deadline([outage(1000, back)], limits, 1000)).toBe(used + bound);
    expect(deadline([outage(1000, back)], limits, used + 1)).toBe(used + 1 + bound);
    expect(deadline([outage(1000 + bound + 1, 9000)], limits, 1000)).toBe(1000 + bound);
    expect(deadline([{ what: "notices are dropped", from: 1000, to: 9000, isOutage: false }], limits, 1000)).toBe(
      1000 + bound,
    );
  });
});
