// Real node processes on one store, for tests of what passes between nodes.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { LiveOptions } from "../../src/options.js";
import { Browser } from "./browser.js";
import { ensureBuilt } from "./built.js";

/** Where the sessions of a fleet are kept. */
export interface StoreSettings {
  readonly kind: "redis" | "postgres";
  readonly url?: string;
  /** Of a Redis cluster. */
  readonly ports?: readonly number[];
  /** Of a cluster or of Sentinels: by which ways the servers are reached. */
  readonly nodeAddressMap?: Readonly<Record<string, { readonly host: string; readonly port: number }>>;
  /** Of the Sentinels of a Redis. */
  readonly sentinels?: readonly number[];
  /** The package of the client, where it is not node-redis. */
  readonly client?: "ioredis";
  /** 2 for nodes that hear by channels. */
  readonly RESP?: 2;
  readonly prefix?: string;
  readonly table?: string;
  readonly timeout?: number;
}

export interface NodeSettings {
  readonly store: StoreSettings;
  readonly sessions?: LiveOptions & { cookie?: { maxAge: number } };
  readonly port?: number;
  /** Whether sockets need a session with a user: `allow`. */
  readonly onlyUsers?: boolean;
}

export interface NodeState {
  readonly size: number;
  readonly pending: number;
  readonly hears: "keys" | "channels" | undefined;
  readonly isHearing: boolean;
  readonly isDown: boolean;
  /** Codes that `sessions.on("error")` heard. */
  readonly errors: string[];
  /** What `sessions.on("lost")` heard: the user of the session and what was lost. */
  readonly lost: string[];
}

/** What a node tells by itself when its storage has lost something. */
export interface LostNews {
  readonly lost: { readonly id: string; readonly what: string };
}

interface Answer {
  readonly number?: number;
  readonly port?: number;
  readonly answer?: unknown;
  readonly error?: string;
}

export class Node {
  readonly url: string;
  readonly port: number;
  readonly process: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #number = 0;

  constructor(child: ChildProcess, port: number) {
    this.process = child;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
    child.on("message", (answer: Answer) => this.#waiting.get(answer.number ?? -1)?.(answer));
  }

  /** Calls one of the commands in test/nodes/node.js. */
  async ask<T>(name: string, values: object = {}): Promise<T> {
    const number = ++this.#number;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(number, resolve));
    this.process.send({ number, name, values });
    const { answer, error } = await answered;
    if (error !== undefined) throw new Error(error);
    return answer as T;
  }

  state(): Promise<NodeState> {
    return this.ask("state");
  }

  /** The same browser, on this node. */
  visit(browser: Browser): Browser {
    const visitor = new Browser(this.url);
    for (const [name, value] of browser.cookies) visitor.cookies.set(name, value);
    onTestFinished(() => visitor.close());
    return visitor;
  }

  /** A browser that has logged in here. */
  async login(fields: object = { user: "ada" }): Promise<Browser> {
    const browser = this.visit(new Browser(this.url));
    const response = await browser.post("/login", fields);
    if (!response.ok) throw new Error(`login: ${response.status}`);
    return browser;
  }

  async kill(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill("SIGKILL");
    await ended;
  }
}

/** The session id that a browser's cookie holds. */
export function idOf(browser: Browser): string {
  const value = decodeURIComponent(browser.cookies.get("connect.sid") as string);
  return value.slice(2, value.lastIndexOf("."));
}

/** Starts nodes; they are ended with the test. */
export async function startNodes<Count extends number>(count: Count, settings: NodeSettings): Promise<Nodes<Count>> {
  const nodes = await openNodes(count, settings);
  onTestFinished(() => closeNodes(nodes));
  return nodes;
}

/** Starts nodes for several tests; who does so closes them. */
export async function openNodes<Count extends number>(count: Count, settings: NodeSettings): Promise<Nodes<Count>> {
  return (await Promise.all(Array.from({ length: count }, () => openNode(settings)))) as Nodes<Count>;
}

/** A list of so many nodes. */
type Nodes<Count extends number, Known extends Node[] = []> = Known["length"] extends Count
  ? Known
  : Nodes<Count, [...Known, Node]>;

export async function closeNodes(nodes: readonly Node[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.kill()));
}

async function openNode(settings: NodeSettings): Promise<Node> {
  ensureBuilt();
  const file = join(import.meta.dirname, "../nodes/node.js");
  const child = fork(file, [JSON.stringify(settings)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const failed = once(child, "exit").then(([code]) => {
    throw new Error(`the node ended with ${code}`);
  });
  failed.catch(() => undefined);
  const [first] = (await Promise.race([once(child, "message"), failed])) as [Answer];
  return new Node(child, first.port as number);
}
