// The driver for Redis and Valkey: each session is one key, written by scripts that compare, set and tell the other
// nodes in one step. Data is that of connect-redis. The node-redis client is injected; nothing of it is imported.
import { createHash } from "node:crypto";
import { type EndCode, SessionError } from "../../../errors.js";
import {
  checkFinite,
  checkNames,
  checkPositive,
  checkTimes,
  invalid,
  kindOf,
  type NamesOf,
} from "../../../internal/check-options.js";
import { type Driver, type End, endMemory, markMemory, type NoticeKind, type Notes, writeMemory } from "../driver.js";
import { LiveStore } from "../../live-store.js";
import { createdAgain, endText, NoticeCodec, parseEnd } from "../../cluster/notice-codec.js";
import { type NoticeEvents, ReconnectingNotices } from "../../cluster/reconnecting-notices.js";
import { mayEndSooner } from "../../record/session-record.js";
import { channelName, clusterChannelName, noticePrefix, slotOf } from "./channels.js";
import { RedisConnection } from "./redis-connection.js";
import { openRedisNotices, type RedisClient, type RedisClusterClient } from "./notices.js";
import { isReadOnly, redisRefusal } from "./refusals.js";
import { Refusal } from "../refusal.js";

export type { RedisClient, RedisClusterClient } from "./notices.js";

/** Options of {@link redisStore}. */
export interface RedisStoreOptions {
  /** What `createClient()` or `createCluster()` of the package `redis` gave. It stays yours to connect and to close. */
  client: RedisClient | RedisClusterClient;
  /** What the keys start with. Default `"sess:"`, as in connect-redis. */
  prefix?: string | undefined;
  /** How long a session without `cookie.maxAge` lives untouched, in **seconds**. Default 86,400, as in connect-redis. */
  ttl?: number | undefined;
  /** How long Redis may take to answer one command, in ms, before it counts as unavailable. Default 5000. */
  timeout?: number | undefined;
  /** How many bytes (UTF-8) a session may take as it is stored; a save above it is `DATA_INVALID`. Default 1 MiB. */
  maxSessionSize?: number | undefined;
}

/**
 * A live store in Redis (7 or newer) or Valkey, for any number of nodes: what one node changes or ends, the others
 * hear at once. Keys, JSON and expiry are those of connect-redis 9, so that services can move one after the other.
 *
 * The client is one of the package `redis` (node-redis 6), connected by you; the driver makes a duplicate of
 * its own for notices, one per node, or one per master of a cluster.
 *
 * @throws SessionError `STORE_CLIENT_INVALID`, `OPTION_INVALID`; while the client is not connected, what needs the
 * store fails with `STORE_UNAVAILABLE`, whose cause is `STORE_NOT_READY`.
 * @example
 * ```ts
 * import { createClient } from "redis";
 *
 * const client = createClient({ url: process.env.REDIS_URL ?? "redis://localhost:6379" });
 * client.on("error", (error) => console.error(error));
 * await client.connect();
 * const sessions = createSessions({ secret, store: redisStore({ client }) });
 * ```
 */
export function redisStore(options: RedisStoreOptions): LiveStore {
  checkNames(options, optionNames, "redisStore()");
  // Who writes JavaScript may leave them out.
  const given = (options as RedisStoreOptions | undefined) ?? ({} as RedisStoreOptions);
  const { client, prefix = "sess:", ttl = 86_400, timeout = 5000, maxSessionSize } = given;
  checkClient(client);
  if (typeof prefix !== "string") throw invalid(`prefix is a string, not ${kindOf(prefix)}.`);
  checkFinite({ ttl });
  checkTimes({ timeout });
  if (maxSessionSize !== undefined) checkPositive({ maxSessionSize });
  // Outside of the prefix: who lists the sessions does not find them.
  const notes = new RedisDriver(client, `${noticePrefix}user:${prefix}`, ttl * 1000, timeout);
  return new LiveStore(new RedisDriver(client, prefix, ttl * 1000, timeout, notes), { timeout, maxSessionSize });
}

const optionNames: NamesOf<RedisStoreOptions> = {
  client: true,
  prefix: true,
  ttl: true,
  timeout: true,
  maxSessionSize: true,
};

class Script {
  readonly text: string;
  readonly sha: string;

  constructor(text: string) {
    this.text = text;
    this.sha = createHash("sha1").update(text).digest("hex");
  }
}

// KEYS[1] is the session; KEYS[2] is both its channel and, for a while after its end, the key that says why it ended, or
// that it was created again since.
const scripts = {
  read: new Script(`return redis.call("GET", KEYS[1])`),
  /** ARGV: text, ms to live, ms to remember that it was created again, what says so. */
  create: new Script(`
    if not redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return 0 end
    redis.call("SET", KEYS[2], ARGV[4], "XX", "PX", ARGV[3])
    return 1`),
  /** KEYS[1] is the key that says so. ARGV: what says so. */
  createdAgain: new Script(`
    if redis.call("GET", KEYS[1]) ~= ARGV[1] then return false end
    return redis.call("PTTL", KEYS[1])`),
  /** KEYS[1] is the key that says why it ended. ARGV: how long it is still remembered, in ms, when that is old. */
  endOf: new Script(`
    if redis.call("PTTL", KEYS[1]) <= tonumber(ARGV[1]) then return false end
    return redis.call("GET", KEYS[1])`),
  /**
   * ARGV: expected, text, ms to live or "" to leave it, the command that publishes or "", the message, "1" where it may
   * live shorter than it does: old services prolong it without changing its text; with KEYS[3], the
   * last write of this node to this session, its number, and ms to remember it. Sent again it answers as before; one
   * that comes after a newer one of its node comes too late.
   */
  replace: new Script(`
    if redis.call("GET", KEYS[1]) ~= ARGV[1] then
      return KEYS[3] and redis.call("GET", KEYS[3]) == ARGV[7] and 1 or 0
    end
    local last = KEYS[3] and redis.call("SET", KEYS[3], ARGV[7], "PX", ARGV[8], "GET")
    if last and tonumber(last) >= tonumber(ARGV[7]) then
      redis.call("SET", KEYS[3], last, "PX", ARGV[8])
      return last == ARGV[7] and 1 or 0
    end
    local left = redis.call("PTTL", KEYS[1])
    if ARGV[3] == "" or (ARGV[6] ~= "1" and left > tonumber(ARGV[3])) then
      redis.call("SET", KEYS[1], ARGV[2], "KEEPTTL")
    else redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3]) end
    if ARGV[4] ~= "" then redis.call(ARGV[4], KEYS[2], ARGV[5]) end
    return 1`),
  /**
   * ARGV: why, ms to remember it, the command that publishes, the message, ms that an old reason is still remembered,
   * what says that it was created again. The first reason stands.
   */
  remove: new Script(`
    redis.call("DEL", KEYS[1])
    if redis.call("PTTL", KEYS[2]) <= tonumber(ARGV[5]) or redis.call("GET", KEYS[2]) == ARGV[6] then
      redis.call("SET", KEYS[2], ARGV[1], "PX", ARGV[2])
    end
    redis.call(ARGV[3], KEYS[2], ARGV[4])
    return 1`),
  /** ARGV: the command that publishes, the message. Answers how many hear it. */
  publish: new Script(`return redis.call(ARGV[1], KEYS[2], ARGV[2])`),
};

const scanCount = 500;
/** How long an end is still kept when it is no reason any more, in ms. */
const oldMark = markMemory - endMemory;

class RedisDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = true;
  readonly notices: ReconnectingNotices;
  readonly notes: Notes;
  readonly #client: RedisClient | RedisClusterClient;
  readonly #isCluster: boolean;
  readonly #database: number;
  readonly #prefix: string;
  readonly ttl: number;
  readonly #codec = new NoticeCodec();
  readonly #connection: RedisConnection;
  /** Of the connection on which notices are heard: it is opened anew when this calls `onLost`. */
  #noticeEvents: NoticeEvents | undefined;

  constructor(
    client: RedisClient | RedisClusterClient,
    prefix: string,
    ttl: number,
    timeout: number,
    notes?: RedisDriver,
  ) {
    this.notes = notes ?? this;
    // A command that could not be sent in time is not sent later: nobody waits for it any more. With types of its own it
    // is answered in text whatever types the client maps to, and past its `clientSideCache`, which is behind.
    this.#client = client.withCommandOptions({ timeout, typeMapping: {} }) as RedisClient | RedisClusterClient;
    this.#connection = RedisConnection.of(client);
    this.#isCluster = isCluster(client);
    this.#database = (client as RedisClient).options?.database ?? 0;
    this.#prefix = prefix;
    this.ttl = ttl;
    this.notices = new ReconnectingNotices(
      (events) => openRedisNotices(client, (this.#noticeEvents = events)),
      this.#codec,
      (id) => this.#channelOf(id),
    );
  }

  /** On a cluster, the master that has the key. */
  partOf(id: string): string {
    const client = this.#client;
    return isCluster(client) ? (client.slots[slotOf(this.#prefix + id)]?.master.address ?? "") : "";
  }

  read(id: string): Promise<string | undefined> {
    return this.#get(this.#prefix + id);
  }

  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    // On a cluster each key is asked for by a command of its own; those of one turn go out together.
    if (this.#isCluster) return Promise.all(ids.map((id) => this.read(id)));
    const keys = ids.map((id) => this.#prefix + id);
    const texts = await this.#ask((client) => (client as RedisClient).mGet(keys));
    return texts.map((text) => text ?? undefined);
  }

  async create(id: string, text: string, expires: number): Promise<boolean> {
    return (await this.#run(scripts.create, id, [text, this.#lifetime(expires), `${markMemory}`, createdAgain])) === 1;
  }

  replace(id: string, text: string, expires: number | undefined, expected: string, write?: number): Promise<boolean> {
    return this.#replace(id, text, expires, expected, "changed", write);
  }

  async lastWrite(id: string, node?: string): Promise<number | undefined> {
    const last = await this.#get(this.#writeKeyOf(id, node));
    return last === undefined ? undefined : Number(last);
  }

  /** Errors of the server begin with a word in capitals; those of the client tell that no answer came. */
  isRefusal(error: unknown): boolean {
    return error instanceof Refusal || (error instanceof Error && /^[A-Z]{2,} /.test(error.message));
  }

  get connectionError(): unknown {
    return redisRefusal(this.#connection.lastError, this.#isCluster);
  }

  touch(id: string, text: string, expires: number, expected: string): Promise<boolean> {
    return this.#replace(id, text, expires, expected);
  }

  async remove(id: string, code: EndCode): Promise<void> {
    const end = endText(code, Date.now());
    const notice = [this.#publishCommand, this.#codec.encode(code)];
    await this.#run(scripts.remove, id, [end, `${markMemory}`, ...notice, `${oldMark}`, createdAgain]);
  }

  async endOf(id: string): Promise<End | undefined> {
    const text = await this.#ask((client) => evaluate(client, scripts.endOf, [this.#channelOf(id)], [`${oldMark}`]));
    return parseEnd((text ?? "") as string);
  }

  async createdAgo(id: string): Promise<number | undefined> {
    const key = [this.#channelOf(id)];
    const left = await this.#ask((client) => evaluate(client, scripts.createdAgain, key, [createdAgain]));
    return typeof left === "number" ? markMemory - left : undefined;
  }

  async publish(id: string, word: string): Promise<number> {
    return (await this.#run(scripts.publish, id, [this.#publishCommand, this.#codec.encodeMessage(word)])) as number;
  }

  async all(): Promise<ReadonlyMap<string, string>> {
    const sessions = new Map<string, string>();
    for await (const ids of this.#ids()) {
      const texts = await this.readMany(ids);
      for (const [index, text] of texts.entries()) if (text !== undefined) sessions.set(ids[index] as string, text);
    }
    return sessions;
  }

  async ids(): Promise<string[]> {
    const known = new Set<string>();
    for await (const ids of this.#ids()) for (const id of ids) known.add(id);
    return [...known];
  }

  async count(): Promise<number> {
    return (await this.ids()).length;
  }

  /** One after the other, because each has those who listen. */
  async clear(): Promise<void> {
    for await (const ids of this.#ids()) await Promise.all(ids.map((id) => this.remove(id, "SESSION_DESTROYED")));
  }

  close(): void {
    this.notices.close();
  }

  async #replace(
    id: string,
    text: string,
    expires: number | undefined,
    expected: string,
    kind?: NoticeKind,
    write?: number,
  ): Promise<boolean> {
    const life = expires === undefined ? "" : this.#lifetime(expires);
    const notice = kind ? [this.#publishCommand, this.#codec.encode(kind, write)] : ["", ""];
    const isExact = mayEndSooner(text, expected) ? "1" : "";
    const [keys, numbers] = write === undefined ? [[], []] : [[this.#writeKeyOf(id)], [`${write}`, `${writeMemory}`]];
    return (await this.#run(scripts.replace, id, [expected, text, life, ...notice, isExact, ...numbers], keys)) === 1;
  }

  get #publishCommand(): string {
    return this.#isCluster ? "SPUBLISH" : "PUBLISH";
  }

  #channelOf(id: string): string {
    const key = this.#prefix + id;
    return this.#isCluster ? clusterChannelName(key) : channelName(key, this.#database);
  }

  /** The key with the number of a node's last write to a session. */
  #writeKeyOf(id: string, node = this.#codec.node): string {
    return `${this.#channelOf(id)}:${node}`;
  }

  /** In ms from now: clocks of nodes and of Redis may differ. */
  #lifetime(expires: number): string {
    return `${Number.isFinite(expires) ? Math.max(Math.ceil(expires - Date.now()), 1) : this.ttl}`;
  }

  async #get(key: string): Promise<string | undefined> {
    const text = await this.#ask(async (client) => {
      try {
        // A cluster client may ask replicas, which may be behind, but not with a script.
        return await (isCluster(client) ? evaluate(client, scripts.read, [key], []) : client.get(key));
      } catch (error) {
        // Of another program: that is no reason to take Redis for one that does not answer.
        if (isOfAnotherKind(error)) return "";
        throw error;
      }
    });
    return (text ?? undefined) as string | undefined;
  }

  #run(script: Script, id: string, values: string[], keys: string[] = []): Promise<unknown> {
    const all = [this.#prefix + id, this.#channelOf(id), ...keys];
    return this.#ask((client) => evaluate(client, script, all, values));
  }

  /** Sends a command; once more where the client was still connected to a server that is a replica now. */
  async #ask<T>(command: (client: RedisClient | RedisClusterClient) => Promise<T>): Promise<T> {
    const client = this.#connected();
    try {
      const answer = await command(client);
      this.#connection.lastError = undefined;
      return answer;
    } catch (error) {
      if (!isReadOnly(error) || !(await this.#connection.renew())) return this.#refuse(error);
      // It may listen to the same server, and what that has is not what the new one has.
      this.#noticeEvents?.onLost("the server has become a replica");
    }
    return command(client).catch((error: unknown) => this.#refuse(error));
  }

  #refuse(error: unknown): never {
    throw redisRefusal(error, this.#isCluster);
  }

  #connected(): RedisClient | RedisClusterClient {
    if (this.#client.isOpen) return this.#client;
    throw new SessionError("STORE_NOT_READY", { detail: "The Redis client is not connected: await client.connect()." });
  }

  async *#ids(): AsyncGenerator<string[]> {
    const client = this.#connected();
    const MATCH = `${this.#prefix.replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`)}*`;
    const nodes = isCluster(client) ? client.masters.map((master) => client.nodeClient(master as never)) : [client];
    for (const node of nodes) {
      for await (const keys of (await node).scanIterator({ MATCH, COUNT: scanCount })) {
        const own = keys.filter((key) => !key.startsWith(noticePrefix));
        if (own.length > 0) yield own.map((key) => key.slice(this.#prefix.length));
      }
    }
  }
}

async function evaluate(
  client: RedisClient | RedisClusterClient,
  script: Script,
  keys: string[],
  values: string[],
): Promise<unknown> {
  const options = { keys, arguments: values };
  try {
    return await client.evalSha(script.sha, options);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return client.eval(script.text, options);
  }
}

function isOfAnotherKind(error: unknown): boolean {
  return error instanceof Error && error.message.includes("WRONGTYPE");
}

function isCluster(client: RedisClient | RedisClusterClient): client is RedisClusterClient {
  return "masters" in client;
}

function checkClient(value: unknown): void {
  const refuse = (detail: string): never => {
    throw new SessionError("STORE_CLIENT_INVALID", { detail });
  };
  const client = (value ?? {}) as Record<string, unknown>;
  if (value === undefined || value === null) refuse("There is no client: npm install redis, then createClient().");
  if (typeof client["evalsha"] === "function" && typeof client["evalSha"] !== "function") {
    refuse("It is a client of ioredis: redisStore() needs one of the package redis.");
  }
  for (const method of ["evalSha", "duplicate", "withCommandOptions", "listenerCount"]) {
    if (typeof client[method] !== "function") refuse(`It has no ${method}(): pass what createClient() gave.`);
  }
  if (!("masters" in client) && (typeof client["subscribe"] !== "function" || typeof client["mGet"] !== "function")) {
    refuse("It is neither a single client nor a cluster client.");
  }
  if ((client as { isPubSubActive?: unknown }).isPubSubActive === true) {
    refuse("It is a subscriber, of another node perhaps: pass a client that sends commands, notices get their own.");
  }
  if (client["_keyPrefix"] !== undefined) {
    // It would be put before keys, but not before channels: notices would go where nobody listens.
    refuse("It has a keyPrefix: leave that to redisStore({ prefix }).");
  }
  if ((client as unknown as RedisClient).listenerCount("error") === 0) {
    refuse('It has no "error" listener, so that a lost connection ends the process: client.on("error", …).');
  }
}
