// Two nodes on each official adapter of Socket.IO, with sessions attached.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { inspect } from "node:util";
import { createAdapter as postgresAdapter } from "@socket.io/postgres-adapter";
import { createAdapter as redisAdapter } from "@socket.io/redis-adapter";
import { createAdapter as streamsAdapter } from "@socket.io/redis-streams-adapter";
import { Pool } from "pg";
import { createClient } from "redis";
import { io, type Socket } from "socket.io-client";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ensureBuilt } from "../support/built.js";
import { usePostgres } from "../support/postgres.js";
import { useRedis } from "../support/redis.js";
import type { AdapterNode } from "./adapters/node.js";

interface Nodes {
  readonly urls: readonly string[];
  /** All that was sent between the nodes so far, as text. */
  readonly bus: readonly string[];
  close(): Promise<void>;
}

/** In this process. */
async function inProcess(adapters: readonly any[], bus: string[], end: () => Promise<unknown>): Promise<Nodes> {
  ensureBuilt();
  const { startNode } = await import("./adapters/node.js");
  const nodes: AdapterNode[] = await Promise.all(adapters.map((adapter) => startNode(adapter)));
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()));
    await end();
  };
  return { urls: nodes.map(({ url }) => url), bus, close };
}

/** On Redis: a server sees all commands, and so all that is sent. */
async function onRedis(make: (client: () => Promise<any>) => Promise<unknown>): Promise<Nodes> {
  const { url } = await useRedis();
  const clients: { close(): Promise<void> }[] = [];
  const client = async (): Promise<any> => {
    const made = createClient({ url }).on("error", () => undefined);
    clients.push(made);
    return made.connect();
  };
  const bus: string[] = [];
  await (await client()).monitor((command: string) => void bus.push(command));
  return inProcess([await make(client), await make(client)], bus, async () => {
    await Promise.all(clients.map((one) => one.close()));
  });
}

async function onPostgres(): Promise<Nodes> {
  const { url } = await usePostgres();
  const pools = [1, 2, 3].map(() => new Pool({ connectionString: url }).on("error", () => undefined)) as Pool[];
  const [first, second, third] = pools as [Pool, Pool, Pool];
  await third.query(
    "CREATE TABLE socket_io_attachments (id bigserial UNIQUE, created_at timestamptz DEFAULT NOW(), payload bytea)",
  );
  const bus: string[] = [];
  const listener = await third.connect();
  await listener.query('LISTEN "socket.io#/"');
  listener.on("notification", ({ payload = "" }) => void bus.push(payload));
  return inProcess([postgresAdapter(first), postgresAdapter(second)], bus, async () => {
    bus.push(
      ...(await third.query("SELECT encode(payload, 'escape') AS text FROM socket_io_attachments")).rows.map(
        (row) => row.text,
      ),
    );
    listener.release(true);
    await Promise.all(pools.map((pool) => pool.end()));
  });
}

async function onCluster(): Promise<Nodes> {
  ensureBuilt();
  const primary: ChildProcess = fork(join(import.meta.dirname, "adapters/cluster.js"), { serialization: "advanced" });
  const bus: string[] = [];
  const urls: string[] = [];
  await new Promise<void>((resolve, reject) => {
    primary.on("exit", reject);
    primary.on("message", (message: { url?: string }) => {
      if (message.url === undefined) bus.push(inspect(message, { depth: 20 }));
      else if (urls.push(message.url) === 2) resolve();
    });
  });
  const close = async (): Promise<void> => {
    primary.disconnect();
    await once(primary, "exit");
  };
  return { urls, bus, close };
}

const kinds: readonly (readonly [name: string, start: () => Promise<Nodes>])[] = [
  ["redis-adapter", () => onRedis(async (client) => redisAdapter(await client(), await client()))],
  // The sub client of two servers may not be one.
  ["redis-streams-adapter", () => onRedis(async (client) => streamsAdapter(await client(), { blockTimeInMs: 100 }))],
  ["postgres-adapter", onPostgres],
  ["cluster-adapter", onCluster],
];

const mark = "the mark of a session";
const address = { city: "Ulm", lines: [["here"]] };

describe.each(kinds)("%s", (_name, start) => {
  let nodes: Nodes;
  beforeAll(async () => void (nodes = await start()));
  afterAll(() => nodes.close());

  async function ask(at: number, name: string, ...values: unknown[]): Promise<any> {
    const response = await fetch(nodes.urls[at] as string, { method: "POST", body: JSON.stringify({ name, values }) });
    return response.json();
  }

  /** A client of each node, when the nodes know each other. */
  async function connect(): Promise<readonly [Socket, Socket]> {
    for (const at of [0, 1]) await expect.poll(() => ask(at, "nodes")).toBe(2);
    const sockets = nodes.urls.map((url) => io(url, { transports: ["websocket"] }));
    onTestFinished(() => sockets.forEach((socket) => void socket.disconnect()));
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => void socket.on("connect", resolve))));
    return sockets as unknown as readonly [Socket, Socket];
  }

  // socketio/socket.io-redis-adapter#421
  test("sockets of other nodes are found, and nothing of their sessions is sent", async () => {
    const sockets = await connect();
    for (const big of [false, true]) {
      if (big) await ask(1, "big");
      const before = nodes.bus.length;
      const found = (await ask(0, "fetch")) as { id: string; handshake: object; data: object }[];
      expect(found.map(({ id }) => id).toSorted()).toEqual(sockets.map(({ id }) => id).toSorted());
      for (const { handshake, data } of found) {
        expect(handshake).toHaveProperty("url");
        expect(handshake).not.toHaveProperty("session");
        expect(data).toEqual({ address });
      }
      await expect.poll(() => nodes.bus.length).toBeGreaterThan(before);
    }
    expect(nodes.bus.join()).not.toContain(mark);
  });

  test("sockets of other nodes join, leave and are disconnected", async () => {
    const [own, other] = await connect();
    await ask(0, "join", "blue");
    await expect
      .poll(
        async () => (await ask(0, "fetch")).filter(({ rooms }: { rooms: string[] }) => rooms.includes("blue")).length,
      )
      .toBe(2);
    const gone = [own, other].map((socket) => new Promise((resolve) => socket.on("disconnect", resolve)));
    await ask(0, "disconnect", "blue");
    expect(await Promise.all(gone)).toEqual(["io server disconnect", "io server disconnect"]);
  });

  test("servers ask each other, with data of sessions", async () => {
    await connect();
    expect(await ask(0, "ask")).toEqual([{ value: address, cart: ["apple"] }]);
  });

  // socketio/socket.io#4261
  test("objects of a session reach the clients of all nodes, also with binary data", async () => {
    const sockets = await connect();
    const heard = (name: string): Promise<unknown>[] =>
      sockets.map((socket) => new Promise((resolve) => socket.on(name, (...values) => resolve(values))));
    const [text, binary] = [heard("text"), heard("binary")];
    await ask(0, "emit");
    const texts = [["apple"], { address, list: [["apple"], [address]] }];
    expect(await Promise.all(text)).toEqual([texts, texts]);
    const binaries = [Buffer.from("bytes"), address];
    expect(await Promise.all(binary)).toEqual([binaries, binaries]);
  });
});
