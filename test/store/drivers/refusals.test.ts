// What a storage refuses for good is no outage: it is told as what it is, with what to do.
import { inspect } from "node:util";
import { Client } from "pg";
import { createClient } from "redis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { closeReason } from "../../../src/errors.js";
import { backendOf, type LiveStore } from "../../../src/store/live-store.js";
import { postgresStore } from "../../../src/store/drivers/postgres/postgres-store.js";
import { redisStore } from "../../../src/store/drivers/redis/redis-store.js";
import { startApp } from "../../support/app.js";
import { ownTable, postgresPool, type PostgresServer, startPostgres } from "../../support/postgres.js";
import {
  ownPrefix,
  redisClient,
  redisClusterClient,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from "../../support/redis.js";
import { Wire } from "../../support/wire.js";
import { subscribe } from "../../support/subscriber.js";

const data = { cookie: { originalMaxAge: null } } as never;

function write(store: LiveStore, id = "the-id"): Promise<any> {
  return new Promise((resolve) => store.set(id, data, resolve));
}

function read(store: LiveStore, id = "the-id"): Promise<any> {
  return new Promise((resolve) => store.get(id, resolve));
}

function expectRefusal(error: unknown, fix: string): void {
  expect(error).toMatchObject({ code: "STORE_UNAVAILABLE", retry: false });
  expect(error).toMatchObject({ cause: { code: "STORE_NOT_READY", retry: false } });
  expect((error as Error).message).toContain(fix);
  expect(inspect(error, { depth: 10 })).not.toContain("the-id");
}

describe("Redis", () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.server.close());

  async function storeOf(options: object = {}, prefix = ownPrefix(), timeout = 5000): Promise<LiveStore> {
    const client = createClient({ url: redis.url, ...options }).on("error", () => undefined);
    void client.connect().catch(() => undefined);
    onTestFinished(() => client.destroy());
    return redisStore({ client: client as never, prefix, timeout });
  }

  /** A user with these rights. */
  async function storeAs(name: string, rights: string[], prefix = ownPrefix()): Promise<LiveStore> {
    const admin = await redisClient(redis.url);
    await admin.sendCommand(["ACL", "SETUSER", name, "reset", "on", ">secret", "+@all", ...rights]);
    return storeOf({ username: name, password: "secret" }, prefix);
  }

  test("a server of a cluster, to a client of one server", async () => {
    const cluster = await startRedisCluster();
    onTestFinished(() => cluster.close());
    const url = `redis://127.0.0.1:${cluster.ports[0]}`;
    const store = await storeOf({ url });
    for (const id of ["a", "b", "c", "d", "e", "f"]) {
      expectRefusal(await write(store, id), "createCluster()");
    }
    const moved = await Promise.all(["a", "b", "c", "d", "e", "f"].map((id) => read(store, id)));
    for (const error of moved.filter(Boolean)) expectRefusal(error, "createCluster()");
    expect(moved.some(Boolean)).toBe(true);
    expect(store.isDown).toBe(false);
    expect(await write(redisStore({ client: await redisClusterClient(cluster.ports) }))).toBeNull();
  });

  test.each([
    ["a command", ["-evalsha", "~*", "&*"]],
    ["a command of a script", ["-set", "~*", "&*"]],
    ["keys", ["~another:*", "&*"]],
    ["keys of its own", ["~test:*", "&*"]],
  ])("a user without the right to %s", async (name, rights) => {
    const store = await storeAs(`without-${name.replaceAll(" ", "-")}`, rights);
    expectRefusal(await write(store), "A user with limited rights");
    expect(store.isDown).toBe(false);
  });

  test("a user who may not listen is told so once", async () => {
    const warned = new Promise<any>((resolve) => {
      const note = (warning: any) => warning.code === "NOTICES_REFUSED" && resolve(warning);
      process.on("warning", note);
      onTestFinished(() => void process.off("warning", note));
    });
    const store = await storeAs("without-channels", ["~*", "resetchannels"]);
    await backendOf(store).watch("the-id");
    expect((await warned).message).toContain("A user with limited rights");
    expect(store.isHearing).toBe(false);
    store.close();
  });

  test.each([
    ["none", { RESP: 2 }],
    ["a wrong one", { password: "wrong" }],
    ["a wrong user", { username: "nobody", password: "wrong" }],
  ])("a server that wants a password, and gets %s", async (_, options) => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const admin = createClient({ url }).on("error", () => undefined);
    await admin.connect();
    await admin.sendCommand(["CONFIG", "SET", "requirepass", "right"]);
    admin.destroy();
    const store = await storeOf({ url, ...options }, ownPrefix(), 500);
    // Where the client says no before it is connected, commands wait for it.
    await expect.poll(async () => (await write(store))?.cause?.code).toBe("STORE_NOT_READY");
    expectRefusal(await write(store), "password");
  });

  test("a server without a command", async () => {
    const { url, server } = await startRedis(["--rename-command", "EVALSHA", ""]);
    onTestFinished(() => server.close());
    expectRefusal(await write(await storeOf({ url })), "Redis 7 or newer");
  });

  test("an outage is still one, and passes", async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    const store = await storeOf({ url }, ownPrefix(), 300);
    expect(await write(store)).toBeNull();
    await server.stop();
    expect(await read(store)).toMatchObject({ code: "STORE_UNAVAILABLE", retry: true });
    expect(store.isDown).toBe(true);
    await server.start();
    await expect.poll(() => read(store), { timeout: 10_000 }).toBeNull();
  });

  test("clients hear that they may come back, the log that somebody has to mend it, and no change is dropped", async () => {
    const admin = await redisClient(redis.url);
    const prefix = ownPrefix();
    const allow = (right: string) => admin.sendCommand(["ACL", "SETUSER", "mended", right]);
    const store = await storeAs("mended", ["~*", "&*"], prefix);
    const { io, login, sessions } = await startApp({ sessions: { store } });
    io.on("connection", (socket) =>
      socket.on("set", (value: string, done: () => void) => {
        socket.session.other = value;
        done();
      }),
    );
    const ada = await login();
    const bob = await login("bob");
    const socket = await ada.connect();
    await allow("-evalsha");
    const told = new Promise((resolve) => sessions.on("error", resolve));
    await socket.emitWithAck("set", "kept");
    expectRefusal(await told, "A user with limited rights");
    for (const right of ["-get", "-mget"]) await allow(right);
    expect(await bob.refused()).toEqual(closeReason("STORE_UNAVAILABLE"));
    expect(closeReason("STORE_UNAVAILABLE").retry).toBe(true);
    await allow("+@all");
    await expect.poll(() => sessions.pending, { timeout: 10_000 }).toBe(0);
    expect(await ada.get("/session")).toMatchObject({ other: "kept" });
  });

  test("after a failover behind one address the client connects anew: no write is lost, and notices are heard", async () => {
    const [old, next] = [await startRedis(), await startRedis()];
    for (const { server } of [old, next]) onTestFinished(() => server.close());
    const [first, second] = [await redisClient(old.url), await redisClient(next.url)];
    await second.sendCommand(["REPLICAOF", "127.0.0.1", `${old.port}`]);
    await expect.poll(() => second.info("replication"), { timeout: 20_000 }).toContain("master_link_status:up");
    const address = await Wire.to(old.port);
    onTestFinished(() => address.close());
    const store = await storeOf({ url: `redis://127.0.0.1:${address.port}` });
    expect(await write(store)).toBeNull();
    const backend = backendOf(store);
    // As a live session does.
    subscribe(store, ({ kind }) => {
      if (kind === "changed") Promise.resolve(backend.read("the-id", () => undefined)).catch(() => undefined);
    });
    await backend.watch("the-id");
    await first.wait(1, 5000);
    await second.sendCommand(["REPLICAOF", "NO", "ONE"]);
    await first.sendCommand(["REPLICAOF", "127.0.0.1", `${next.port}`]);
    address.leadTo(next.port);
    // Many at once: the client connects once.
    const writes = ["b", "c", "d"].map((id) => write(store, id));
    await backendOf(store).update("the-id", (session) => void Object.assign(session, { user: "ada" }));
    expect(await Promise.all(writes)).toEqual([null, null, null]);
    expect(await second.get((await second.keys("*the-id"))[0] as string)).toContain("ada");
    expect(store.isDown).toBe(false);
    await expect.poll(() => store.isHearing, { timeout: 10_000 }).toBe(true);
    const prefix = (await second.keys("*the-id"))[0]?.replace("the-id", "") as string;
    await redisStore({ client: second, prefix }).destroy("the-id");
    await expect.poll(() => backend.endOf("the-id")?.code).toBe("SESSION_DESTROYED");
  });

  test("a server that stays a replica refuses", async () => {
    const { url, server } = await startRedis();
    onTestFinished(() => server.close());
    await (await redisClient(url)).sendCommand(["REPLICAOF", "127.0.0.1", `${redis.port}`]);
    const store = await storeOf({ url });
    expectRefusal(await write(store), "address of the primary");
    expect(store.isDown).toBe(false);
  });
});

describe("PostgreSQL", () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.server.close());

  async function run(text: string): Promise<void> {
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query(text);
    await client.end();
  }

  test("a user without rights, no user, no database, a read only user, another kind of table", async () => {
    const table = ownTable();
    await write(postgresStore({ pool: postgresPool(postgres.url), table, createTable: true }));
    await run(`CREATE ROLE guest LOGIN; CREATE ROLE reader LOGIN; GRANT ALL ON ${table} TO reader`);
    await run(`ALTER ROLE reader SET default_transaction_read_only = on`);
    const as = (user: string) => postgres.url.replace("postgres@", `${user}@`);
    for (const [url, fix] of [
      [as("guest"), "GRANT SELECT"],
      [as("nobody"), "password"],
      [`${postgres.url}_nowhere`, "database does not exist"],
      [as("reader"), "address of the primary"],
    ] as const) {
      const store = postgresStore({ pool: postgresPool(url), table });
      expectRefusal(await write(store, `the-id of ${fix}`), fix);
      expect(store.isDown).toBe(false);
    }
    const other = ownTable();
    await run(`CREATE TABLE ${other} (sid varchar PRIMARY KEY, sess json, expire timestamp(6), owner text NOT NULL)`);
    expectRefusal(await write(postgresStore({ pool: postgresPool(postgres.url), table: other })), "other columns");
  });

  test("a pool with connections to what has become a standby opens new ones: no write is lost", async () => {
    const pool = postgresPool(postgres.url, { max: 5 });
    const store = postgresStore({ pool, table: ownTable(), createTable: true });
    expect(await write(store)).toBeNull();
    const clients = await Promise.all(Array.from({ length: 5 }, () => pool.connect()));
    for (const client of clients) await client.query("SET default_transaction_read_only = on");
    for (const client of clients) client.release();
    expect(await Promise.all(["a", "b", "c"].map((id) => write(store, id)))).toEqual([null, null, null]);
    expect(store.isDown).toBe(false);
  });
});
