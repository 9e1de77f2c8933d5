// What happened in a run, as its clients saw it: written down by who did it, judged by the model.

/** Something that a client asked for. Times are ms since the run began; `to` is when the answer came, or was given up. */
export interface Operation {
  readonly kind: "login" | "logout" | "logout elsewhere" | "forbid" | "put" | "delete" | "count" | "read";
  readonly session: string;
  readonly via: "http" | "socket";
  /** The process that was asked. */
  readonly node: string;
  readonly from: number;
  to: number;
  /** "ok", or why not. Only "ok" is an acknowledgement. */
  outcome: string;
  readonly key?: string;
  /** What a put writes, or the mark of a count. */
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
  /** How often each count was made, by its mark. */
  readonly marks?: Readonly<Record<string, number>>;
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

/** Whether a fault concerns the session with this id. */
export type Concerned = (id: string) => boolean;

/** Something that was broken. */
export interface Fault {
  readonly what: string;
  readonly from: number;
  /** When it was mended. */
  to: number;
  /** Whether the storage could not be asked. */
  readonly isOutage: boolean;
  /** Whether the storage may lose meanwhile what it has acknowledged: a replica takes the primary's place. */
  readonly mayUndo?: boolean;
  /** By its id; absent where it concerns all sessions. */
  readonly concerns?: Concerned | undefined;
  /** By how much the clock of a node was ahead (ms). */
  readonly skew?: number;
}

/** That storage lost something, as a node told. */
export interface Loss {
  readonly session: string;
  readonly what: string;
  readonly node: string;
  readonly at: number;
}

export class History {
  readonly operations: Operation[] = [];
  readonly sockets: SocketLife[] = [];
  readonly faults: Fault[] = [];
  /** When processes were killed. */
  readonly deaths = new Map<string, number>();
  readonly losses: Loss[] = [];
  /** The ids of sessions, by name. They are not printed. */
  readonly ids = new Map<string, string>();
  /** When an older snapshot had ended sessions back. */
  readonly restored = new Map<string, number>();
  /** Of which an end was asked for, or comes by itself soon; and of which one was acknowledged. By name. */
  readonly #ending = new Set<string>();
  readonly #ended = new Set<string>();
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
    for (const session of begun.ends ?? []) this.#ending.add(session);
    if (begun.maxAge !== undefined) this.#ending.add(begun.session);
    return begun;
  }

  end(operation: Operation, outcome: string): void {
    operation.to = this.now();
    operation.outcome = outcome;
    if (outcome === "ok") for (const session of operation.ends ?? []) this.#ended.add(session);
  }

  openSocket(session: string, node: string): SocketLife {
    const life = { number: this.sockets.length + 1, session, node, from: this.now() };
    this.sockets.push(life);
    return life;
  }

  noteLoss(id: string, what: string, node: string): void {
    const session = [...this.ids].find(([, one]) => one === id)?.[0] ?? "one without a name";
    this.losses.push({ session, what, node, at: this.now() });
  }

  /** True where an end of this session was acknowledged. */
  hasEnded(session: string): boolean {
    return this.#ended.has(session);
  }

  /** The ids of sessions of which no end was asked for, by name. */
  living(): Map<string, string> {
    return new Map([...this.ids].filter(([name]) => !this.#ending.has(name)));
  }

  /** Notes that something is broken for as long as `work` runs. */
  async during(
    { isOutage = false, ...told }: Omit<Fault, "from" | "to" | "isOutage"> & { isOutage?: boolean },
    work: () => Promise<unknown>,
  ): Promise<void> {
    const fault = { ...told, isOutage, from: this.now(), to: Number.POSITIVE_INFINITY };
    this.faults.push(fault);
    await work();
    fault.to = this.now();
  }
}

/** All that happened to one session, and what was broken meanwhile, a line each. */
export function print(
  history: Pick<History, "operations" | "sockets" | "faults" | "ids" | "restored" | "losses">,
  session: string,
): string {
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
  const restoredAt = history.restored.get(session);
  if (restoredAt !== undefined) lines.push([restoredAt, "RESTORED"]);
  for (const { session: of, at, node, what } of history.losses) {
    if (of === session) lines.push([at, `${node} tells of a loss: ${what}`]);
  }
  const times = lines.map(([at]) => at);
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const id = history.ids.get(session) ?? "";
  for (const { what, from, to, concerns } of history.faults) {
    if (to >= first && from <= last && (concerns?.(id) ?? true))
      lines.push([from, `FAULT ${what}, mended at ${time(to)}`]);
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
