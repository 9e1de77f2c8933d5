// The driver for Redis and Valkey: each session is one key, written by scripts that compare, set and publish in one step.
// Data is that of connect-redis.
import { type EndCode, SessionError } from "../../../errors.js";
import { createdAgain, endText, NoticeCodec, parseEnd } from "../../cluster/notice-codec.js";
import { type NoticeEvents, ReconnectingNotices } from "../../cluster/reconnecting-notices.js";
import { mayEndSooner } from "../../record/session-record.js";
import {
  type Driver,
  type End,
  type NoticeKind,
  type Notes,
  pastEndMemory,
  storedEndMemory,
  writeMemory,
} from "../driver.js";
import { Refusal } from "../refusal.js";
import { channelName, clusterChannelName, noticePrefix, slotOf } from "./channels.js";
import { type AnyRedisClient, isCluster, type RedisClient } from "./client.js";
import { openRedisNotices } from "./notices.js";
import { RedisConnection } from "./redis-connection.js";
import { isReadOnly, isWrongType, redisRefusal } from "./refusals.js";
import { evaluate, type Script, scripts } from "./scripts.js";

/** How many keys one SCAN looks at. */
const scanCount = 500;

/** Sessions, or the notes beside them, in the keys that begin with a prefix. */
export class RedisDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = true;
  readonly notices: ReconnectingNotices;
  readonly notes: Notes;
  readonly #client: AnyRedisClient;
  /** For commands that cannot be sent at once: one that is not sent in time is not sent later, as nobody waits for it. */
  readonly #waitingClient: AnyRedisClient;
  readonly #isCluster: boolean;
  readonly #database: number;
  readonly #prefix: string;
  readonly ttl: number;
  readonly #codec = new NoticeCodec();
  readonly #connection: RedisConnection;
  /** The hooks of the connection for notices: `onLost` has it opened anew. */
  #noticeEvents: NoticeEvents | undefined;

  /** `ttl` and `timeout` in ms; `notes` where they are kept under another prefix. */
  constructor(client: AnyRedisClient, prefix: string, ttl: number, timeout: number, notes?: RedisDriver) {
    this.notes = notes ?? this;
    // With types of its own a command is answered in text whatever types the client maps to, and past its
    // `clientSideCache`, which is behind. A `timeout` would cost each one an AbortSignal.
    this.#client = client.withCommandOptions({ timeout: 0, typeMapping: {} }) as AnyRedisClient;
    this.#waitingClient = client.withCommandOptions({ timeout, typeMapping: {} }) as AnyRedisClient;
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
    // On a cluster each key needs a command of its own; those of one turn go out together.
    if (this.#isCluster) return Promise.all(ids.map((id) => this.read(id)));
    const keys = ids.map((id) => this.#prefix + id);
    const texts = await this.#send((client) => (client as RedisClient).mGet(keys));
    return texts.map((text) => text ?? undefined);
  }

  async create(id: string, text: string, expires: number): Promise<boolean> {
    return (
      (await this.#run(scripts.create, id, [text, this.#lifetime(expires), `${storedEndMemory}`, createdAgain])) === 1
    );
  }

  replace(id: string, text: string, expires: number | undefined, expected: string, write?: number): Promise<boolean> {
    return this.#replace(id, text, expires, expected, "changed", write);
  }

  async lastWrite(id: string, node?: string): Promise<number | undefined> {
    const last = await this.#get(this.#writeKeyOf(id, node));
    return last === undefined ? undefined : Number(last);
  }

  /** Errors of the server begin with a word in capitals; those of the client mean that no answer came. */
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
    await this.#run(scripts.remove, id, [end, `${storedEndMemory}`, ...notice, `${pastEndMemory}`, createdAgain]);
  }

  async endOf(id: string): Promise<End | undefined> {
    const text = await this.#send((client) =>
      evaluate(client, scripts.endOf, [this.#channelOf(id)], [`${pastEndMemory}`]),
    );
    return parseEnd((text ?? "") as string);
  }

  async createdAgo(id: string): Promise<number | undefined> {
    const key = [this.#channelOf(id)];
    const left = await this.#send((client) => evaluate(client, scripts.createdAgain, key, [createdAgain]));
    return typeof left === "number" ? storedEndMemory - left : undefined;
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
    const text = await this.#send(async (client) => {
      try {
        // A cluster client may read from replicas, which may be behind, but not with a script.
        return await (isCluster(client) ? evaluate(client, scripts.read, [key], []) : client.get(key));
      } catch (error) {
        // Of another program: that is no reason to take Redis for one that does not answer.
        if (isWrongType(error)) return "";
        throw error;
      }
    });
    return (text ?? undefined) as string | undefined;
  }

  #run(script: Script, id: string, values: string[], keys: string[] = []): Promise<unknown> {
    const all = [this.#prefix + id, this.#channelOf(id), ...keys];
    return this.#send((client) => evaluate(client, script, all, values));
  }

  /** Sends a command; once more where the client was still connected to a server that is a replica now. */
  async #send<T>(command: (client: AnyRedisClient) => Promise<T>): Promise<T> {
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

  #connected(): AnyRedisClient {
    const client = this.#client;
    // The parts of a cluster are connected one by one.
    if (client.isOpen) return isCluster(client) || !client.isReady ? this.#waitingClient : client;
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
