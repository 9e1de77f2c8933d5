// What happened in a run, as its clients saw it: written down by who did it, judged by the model.

/** Something that a client asked for. Times are ms since the run began; `to` is when the answer came, or was given up. */
export interface Operation {
  readonly kind: "login" | "logout" | "logout elsewhere" | "put" | "count" | "read";
  readonly session: string;
  readonly via: "http" | "socket";
  /** The process that was asked. */
  readonly node: string;
  readonly from: number;
  to: number;
  /** "ok", or why not. Only "ok" is an acknowledgement. */
  outcome: string;
  readonly key?: string;
  readonly value?: number;
  /** The sessions that it is to end. */
  readonly ends?: readonly string[];
  /** Of a login: how long its session lives without activity (ms). */
  readonly maxAge?: number;
  /** Of a read: what was there. */
  seen?: Seen;
  /** Of a socket: its number. */
  readonly socket?: number;
  /** Of a read after all was mended. */
  readonly isFinal?: boolean;
}

/** What a session holds, as a client sees it: without `user` there is none. */
export interface Seen {
  readonly user?: string;
  readonly count?: number;
  readonly kept?: Readonly<Record<string, number>>;
}

/** A socket, from the handshake to its end. */
export interface SocketLife {
  readonly number: number;
  readonly session: string;
  readonly node: string;
  readonly from: number;
  /** When it was let in, if it was. */
  connected?: number;
  closed?: number;
  /** The code with which it was refused or ended. */
  told?: string;
  reason?: string;
  /** The client closed it itself. */
  isOwn?: boolean;
}

/** Something that was broken. */
export interface Fault {
  readonly what: string;
  readonly from: number;
  /** When it was mended. */
  to: number;
  /** Whether the storage could not be asked. */
  readonly isOutage: boolean;
}

export class History {
  readonly operations: Operation[] = [];
  readonly sockets: SocketLife[] = [];
  readonly faults: Fault[] = [];
  /** When processes were killed. */
  readonly deaths = new Map<string, number>();
  readonly #began = performance.now();
  #sessions = 0;

  /** ms since the run began. */
  now(): number {
    return performance.now() - this.#began;
  }

  /** A name for a new session: ids do not belong into what is printed. */
  nameSession(user: string): string {
    return `${user}/${++this.#sessions}`;
  }

  /** Begins an operation: it is not acknowledged before that is noted. */
  begin(operation: Omit<Operation, "from" | "to" | "outcome">): Operation {
    const begun = { ...operation, from: this.now(), to: Number.POSITIVE_INFINITY, outcome: "no answer" };
    this.operations.push(begun);
    return begun;
  }

  end(operation: Operation, outcome: string): void {
    operation.to = this.now();
    operation.outcome = outcome;
  }

  openSocket(session: string, node: string): SocketLife {
    const life = { number: this.sockets.length + 1, session, node, from: this.now() };
    this.sockets.push(life);
    return life;
  }

  /** Notes that something is broken for as long as `work` runs. */
  async during(what: string, isOutage: boolean, work: () => Promise<unknown>): Promise<void> {
    const fault = { what, from: this.now(), to: Number.POSITIVE_INFINITY, isOutage };
    this.faults.push(fault);
    await work();
    fault.to = this.now();
  }
}

/** All that happened to one session, and what was broken meanwhile, a line each. */
export function print(history: Pick<History, "operations" | "sockets" | "faults">, session: string): string {
  const lines: [at: number, text: string][] = [];
  const operations = history.operations.filter((one) => one.session === session || one.ends?.includes(session));
  for (const { kind, via, node, from, to, outcome, key, value, ends, seen, socket } of operations) {
    const what = [kind, key && `${key}=${value}`, ends && `ends ${ends.join(" ")}`, seen && shown(seen)];
    const where = socket === undefined ? `${via} ${node}` : `socket ${socket} ${node}`;
    lines.push([from, `${what.filter(Boolean).join(" ")} (${where}): ${outcome} at ${time(to)}`]);
  }
  for (const { number, from, connected, closed, told, reason, node, session: of } of history.sockets) {
    if (of !== session) continue;
    lines.push([from, `socket ${number} asks ${node}`]);
    if (connected !== undefined) lines.push([connected, `socket ${number} is open`]);
    if (closed !== undefined) lines.push([closed, `socket ${number} is closed: ${told ?? ""} ${reason ?? ""}`]);
  }
  const times = lines.map(([at]) => at);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  for (const { what, from, to } of history.faults) {
    if (to >= first && from <= last) lines.push([from, `FAULT ${what}, mended at ${time(to)}`]);
  }
  return lines
    .toSorted(([a], [b]) => a - b)
    .map(([at, text]) => `  ${time(at)} ${text}`)
    .join("\n");
}

function time(ms: number): string {
  return Number.isFinite(ms) ? ms.toFixed(0).padStart(6) : "never";
}

function shown({ user, count, kept }: Seen): string {
  return user === undefined ? "none" : `count=${count ?? 0} keys=${Object.keys(kept ?? {}).join(",")}`;
}
