// What the promises allow, as rules over a history. Knows nothing of storages, nodes or clients: only what they saw.
import { deadline, type Limits, longestRecheck, recovered, tick } from "./bounds.js";
import type { History, Operation, Seen, SocketLife } from "./history.js";

export interface Violation {
  readonly session: string;
  readonly text: string;
}

type Known = Pick<History, "operations" | "sockets" | "faults" | "deaths" | "ids" | "restored" | "losses">;

/** How long a node remembers that a session ended (ms), a little less. */
const endMemory = 59_000;
/** How late a node notices at most that its clock was set (ms). */
const longestUnnoticed = 10_000;
/** How long a node waits at most before it tries again to save (ms). */
const longestRetry = 5000;
/** How far a replica is behind at most (ms). */
const longestLag = 100;

/** Everything that broke a promise. `now` is the end of the history. */
export function violations(history: Known, limits: Limits, now: number): Violation[] {
  return sessionsOf(history).flatMap((session) => {
    const rules = new Rules(history, limits, session);
    return rules.broken(now).map((text) => ({ session, text }));
  });
}

function sessionsOf({ operations, losses }: Known): string[] {
  return [...new Set([...operations, ...losses].map(({ session }) => session))];
}

class Rules {
  readonly #history: Known;
  readonly #limits: Limits;
  readonly #session: string;
  /** Those that concern it. */
  readonly #faults: Known["faults"];
  readonly #operations: readonly Operation[];
  readonly #sockets: readonly SocketLife[];
  /** What may have ended it, acknowledged or not. */
  readonly #ending: readonly Operation[];
  /** Since when an end of it is acknowledged. */
  readonly #endedAt: number;
  /** What may have taken its sockets the right to be there. */
  readonly #forbidding: readonly Operation[];
  readonly #login: Operation | undefined;
  /** The end that was asked for first, where it was acknowledged before any other was asked for. */
  readonly #soleEnd: Operation | undefined;
  /** When its storage may have lost what it acknowledged. */
  readonly #undoing: Known["faults"];
  /** Since when an older snapshot has it back. */
  readonly #restoredAt: number;

  constructor(history: Known, limits: Limits, session: string) {
    this.#history = history;
    this.#limits = limits;
    const id = history.ids.get(session) ?? "";
    this.#faults = history.faults.filter(({ concerns }) => concerns?.(id) ?? true);
    this.#undoing = this.#faults.filter(({ mayUndo }) => mayUndo);
    this.#restoredAt = history.restored.get(session) ?? Number.POSITIVE_INFINITY;
    this.#session = session;
    this.#operations = history.operations.filter((operation) => operation.session === session);
    this.#sockets = history.sockets.filter((socket) => socket.session === session);
    this.#forbidding = this.#operations.filter(({ kind }) => kind === "forbid");
    this.#login = this.#operations.find(({ kind }) => kind === "login");
    const user = session.split("/")[0];
    this.#ending = history.operations.filter(({ kind, session: by, ends, to }) => {
      if (ends?.includes(session)) return true;
      // It finds the sessions of a user by itself, those of which the client does not know yet, too.
      const isOfUser = kind === "logout elsewhere" && by !== session && by.split("/")[0] === user;
      return isOfUser && (this.#login?.from ?? 0) < to;
    });
    const certain = this.#ending.filter(
      (end) => end.outcome === "ok" && end.ends?.includes(session) && !this.#mayBeUndone(end),
    );
    this.#endedAt = Math.min(...certain.map(({ to }) => to), Number.POSITIVE_INFINITY);
    this.#soleEnd = certain.find((end) => this.#ending.every((other) => other === end || other.from > end.to));
  }

  broken(now: number): string[] {
    return [...this.#operations.flatMap((one) => this.#judge(one)), ...this.#judgeSockets(now), ...this.#judgeLosses()];
  }

  /** True where the storage may have lost it, although it acknowledged it. */
  #mayBeUndone({ from, to }: Operation): boolean {
    return this.#undoing.some((fault) => to >= fault.from - longestLag && from <= fault.to);
  }

  /** The storage keeps all that it has acknowledged, but where a snapshot or a replica that was behind took its place. */
  #judgeLosses(): string[] {
    const undone = this.#operations.filter(({ kind }) => kind !== "read").filter((one) => this.#mayBeUndone(one));
    const mayBeLost = (at: number): boolean =>
      undone.some((one) => one.from <= at) && this.#undoing.some(({ from }) => from <= at);
    return this.#history.losses
      .filter(({ session, at }) => session === this.#session && at < this.#restoredAt && !mayBeLost(at))
      .map(({ what, node, at }) => `${node} told of a loss at ${at.toFixed(0)}, and nothing was lost: ${what}`);
  }

  /** True where an older snapshot has it back, and this node need not know that it has ended. */
  #isBack(node: string, at: number): boolean {
    const end = this.#soleEnd;
    const isRemembered = end?.node === node && at < end.to + endMemory;
    return at >= this.#restoredAt && !isRemembered;
  }

  /** When an idle session expires, at the earliest and at the latest. */
  get #expiry(): { earliest: number; latest: number } {
    const { maxAge, from } = this.#login ?? { from: 0 };
    if (maxAge === undefined) return { earliest: Number.POSITIVE_INFINITY, latest: Number.POSITIVE_INFINITY };
    const asked = [...this.#operations.map(({ to }) => to), ...this.#sockets.map(({ connected = 0 }) => connected)];
    const last = Math.max(...asked);
    const ahead = this.#skew(from, last, 1);
    const behind = this.#skew(from, last + maxAge + ahead, -1);
    const unnoticed = ahead + behind === 0 ? 0 : longestUnnoticed;
    const sooner = this.#skew(from, Number.POSITIVE_INFINITY, 1) + this.#skew(from, Number.POSITIVE_INFINITY, -1);
    return { earliest: from + maxAge - sooner, latest: last + maxAge + ahead + behind + unnoticed };
  }

  /** By how much a clock was ahead meanwhile at most, or, with -1, behind. */
  #skew(from: number, to: number, sign: 1 | -1): number {
    const skews = this.#history.faults.filter((fault) => fault.from <= to && fault.to >= from);
    return Math.max(0, ...skews.map(({ skew = 0 }) => skew * sign));
  }

  // --- what was read ---

  #judge(operation: Operation): string[] {
    const { kind, outcome, seen, via, from, to } = operation;
    if (kind !== "read" || outcome !== "ok" || !seen) return [];
    const when = `${via} read from ${from.toFixed(0)} to ${to.toFixed(0)}`;
    if (this.#isBack(operation.node, to)) return [];
    if (seen.user === undefined) {
      return this.#mayHaveEnded(to) ? [] : [`${when}: logged out, although nothing ended the session`];
    }
    if (via === "http" && from > this.#endedAt) {
      return [`${when}: alive, although it ended before ${this.#endedAt.toFixed(0)}`];
    }
    return [
      ...this.#judgeFields(operation, seen),
      ...this.#judgeCount(operation, seen),
      ...this.#judgeOrder(operation, seen),
    ].map((text) => `${when}: ${text}`);
  }

  #mayHaveEnded(at: number): boolean {
    const isSo = this.#ending.some(({ from }) => from <= at) || at >= this.#expiry.earliest - tick;
    return isSo || this.#isLoginUndone(at);
  }

  #isLoginUndone(at: number): boolean {
    return this.#login !== undefined && this.#mayBeUndone(this.#login) && this.#undoing.some(({ from }) => from <= at);
  }

  /** True where a read has to show what was acknowledged. */
  #isDue(read: Operation, write: Operation): boolean {
    if (write.outcome !== "ok" || write.to > read.from || this.#mayBeUndone(write)) return false;
    // express-session tells of a save only after its response: one that came after the end is dropped in silence.
    if (write.via === "http" && read.via === "socket" && this.#mayHaveEnded(write.to)) return false;
    // HTTP reads the storage; a live session hears of what its own node wrote, and of the rest within the bound.
    if (read.via === "http" || write.node === read.node) return true;
    return deadline(this.#faults, this.#limits, write.to) <= read.from;
  }

  /** Each field holds what was written last, or one of those that were written at the same time. */
  #judgeFields(read: Operation, { kept = {} }: Seen): string[] {
    const writes = this.#operations.filter(({ kind }) => kind === "put" || kind === "delete");
    const broken: string[] = [];
    for (const key of new Set(writes.map((write) => write.key as string))) {
      const ofKey = writes.filter((write) => write.key === key);
      const due = ofKey.filter((write) => this.#isDue(read, write));
      const value = kept[key];
      if (value === undefined) {
        const deletes = ofKey.filter(({ kind, from }) => kind === "delete" && from <= read.to);
        const isDeleted = (write: Operation): boolean =>
          deletes.some(({ outcome, to }) => outcome !== "ok" || to >= write.from);
        const puts = due.filter(({ kind }) => kind === "put");
        if (puts.some((write) => !isDeleted(write))) broken.push(`${key} is not there, although it was acknowledged`);
        else if (deletes.length === 0 && ofKey.some((write) => this.#isKept(write, read))) {
          broken.push(`${key} is not there, although its node had time to save it`);
        }
        continue;
      }
      const written = ofKey.find((write) => write.value === value);
      if (!written) broken.push(`${key} is ${value}, which nobody wrote`);
      // What was not acknowledged may be saved at any later time.
      else if (written.outcome === "ok") {
        const later = ofKey.filter(({ from }) => from > written.to);
        const overwritten = later.find((one) => due.includes(one));
        if (overwritten) {
          broken.push(`${key} is ${value}, although a later ${overwritten.kind} was acknowledged`);
        } else if (later.some((one) => one.kind === "delete" && this.#isKept(one, read))) {
          broken.push(`${key} is ${value}, although its node had time to save that it was deleted`);
        }
      }
    }
    return broken;
  }

  /** A socket's change that the storage did not take waits on its node, and is saved when the storage is back. */
  #isKept({ via, outcome, node, to }: Operation, read: Operation): boolean {
    if (via !== "socket" || outcome !== "STORE_UNAVAILABLE") return false;
    // When it was saved nobody knows.
    if (this.#undoing.some((fault) => fault.to >= to)) return false;
    const died = this.#history.deaths.get(node);
    // In the end nothing waits any more.
    if (read.isFinal && died === undefined) return true;
    const saved = deadline(this.#faults, this.#limits, to) + longestRetry;
    return saved < Math.min(read.from, died ?? Number.POSITIVE_INFINITY);
  }

  #judgeCount(read: Operation, { count = 0, marks = {} }: Seen): string[] {
    const raises = this.#operations.filter(({ kind }) => kind === "count");
    const due = raises.filter((raise) => this.#isDue(read, raise));
    const most = raises.filter(({ from }) => from <= read.to).length;
    const broken: string[] = [];
    if (count < due.length || count > most) {
      broken.push(`the count is ${count}, but should be ${due.length} to ${most}`);
    }
    for (const [mark, times] of Object.entries(marks)) {
      if (times !== 1) broken.push(`the count with mark ${mark} was made ${times} times`);
    }
    for (const { value } of due) {
      if (value !== undefined && !(value in marks)) broken.push(`the count with mark ${value} is not there`);
    }
    return broken;
  }

  /** What a socket sees never goes back in time. */
  #judgeOrder(read: Operation, { count = 0 }: Seen): string[] {
    if (read.socket === undefined) return [];
    const back = this.#operations.find(
      (earlier) =>
        earlier.kind === "read" &&
        earlier.socket === read.socket &&
        earlier.to < read.from &&
        (earlier.seen?.count ?? 0) > count &&
        !this.#undoing.some(
          ({ from, to }) => from <= read.to && deadline(this.#faults, this.#limits, to) >= earlier.from,
        ),
    );
    return back ? [`the count is ${count}, but was ${back.seen?.count} at ${back.to.toFixed(0)}`] : [];
  }

  // --- sockets ---

  #judgeSockets(now: number): string[] {
    const latest = deadline(this.#faults, this.#limits, Math.min(this.#endedAt, this.#expiry.latest));
    const forbids = this.#forbidding.filter((one) => one.outcome === "ok" && !this.#mayBeUndone(one));
    const forbiddenAt = Math.min(...forbids.map(({ to }) => to), Number.POSITIVE_INFINITY);
    const latestAllowed = deadline(this.#faults, this.#limits, forbiddenAt);
    return this.#sockets.flatMap((socket) => {
      const { number, node, connected, closed = now, isOwn } = socket;
      // In time for one that was restored.
      if (this.#restoredAt <= latest && this.#isBack(node, closed)) return [];
      const broken: string[] = [];
      const isLate = connected !== undefined && socket.from > Math.max(this.#endedAt, this.#restoredAt);
      if (isLate && !this.#isBack(node, connected)) broken.push("was let in by the node that had ended the session");
      if (connected !== undefined && closed > latest) {
        const until = isOwn || socket.closed === undefined ? "at least until" : "until";
        broken.push(`was open ${until} ${closed.toFixed(0)}, but had to be closed by ${latest.toFixed(0)}`);
      }
      // A snapshot may be older than what forbids it.
      if (connected !== undefined && closed > latestAllowed && this.#restoredAt === Number.POSITIVE_INFINITY) {
        broken.push(`was open at ${closed.toFixed(0)}, but was not allowed after ${latestAllowed.toFixed(0)}`);
      }
      const why = this.#judgeCode(socket);
      if (why !== undefined) broken.push(`was told ${socket.told}, ${why}`);
      if (connected !== undefined && this.#isTooLongStale(connected, closed)) {
        broken.push("was open all through an outage that was longer than maxStale");
      }
      return broken.map((text) => `socket ${number} ${text}`);
    });
  }

  /** Why a client should not have been told this code. */
  #judgeCode({ told, closed = 0, connected }: SocketLife): string | undefined {
    const ended = (...kinds: Operation["kind"][]): string | undefined =>
      this.#ending.some(({ kind, from }) => kinds.includes(kind) && from <= closed)
        ? undefined
        : "although nobody asked for that";
    switch (told) {
      case undefined:
        return undefined;
      case "SESSION_DESTROYED":
        return this.#isLoginUndone(closed) ? undefined : ended("logout", "logout elsewhere");
      case "SESSION_ROTATED":
        return ended("login");
      case "SESSION_UNKNOWN":
        return this.#mayHaveEnded(closed) ? undefined : "although it is there";
      case "SESSION_FORBIDDEN":
        return this.#forbidding.some(({ from }) => from <= closed) ? undefined : "although nobody forbade it";
      case "SESSION_EXPIRED":
        return closed >= this.#expiry.earliest - tick ? undefined : "although it had time left";
      case "STORE_UNAVAILABLE":
        // A handshake may meet a machine that is too busy to answer in time.
        if (connected === undefined || this.#wasOutage(closed)) return undefined;
        return "although the storage was not away for so long";
      default:
        return "which nothing in this run can cause";
    }
  }

  /** Whether the storage was away for as long as maxStale. */
  #wasOutage(at: number): boolean {
    // One that would expire is not given that time.
    const since = at >= this.#expiry.earliest - tick ? at : at - this.#limits.maxStale + tick;
    return this.#outages().some(({ from, to }) => from <= since && to >= at);
  }

  /** Outages that follow each other quickly are one for those who did not get through between them. */
  #outages(): { from: number; to: number }[] {
    const joined: { from: number; to: number }[] = [];
    for (const { isOutage, from, to } of this.#faults) {
      if (!isOutage) continue;
      const end = recovered(from, to, this.#limits.timeout) + this.#limits.slack;
      const before = joined.at(-1);
      if (before && from <= before.to) before.to = Math.max(before.to, end);
      else joined.push({ from, to: end });
    }
    return joined;
  }

  #isTooLongStale(connected: number, closed: number): boolean {
    const { lease, timeout, maxStale, slack } = this.#limits;
    // A lease until it is noticed; and at the end of maxStale the storage may just have been asked once more.
    const longest = lease + maxStale + 2 * timeout + longestRecheck + tick + slack;
    return this.#faults.some(
      // A replica may have answered long before that was over.
      ({ isOutage, mayUndo, from, to }) =>
        isOutage && !mayUndo && connected < from && to - from > longest && closed > from + longest,
    );
  }
}
