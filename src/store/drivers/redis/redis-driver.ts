// The driver for Redis and Valkey: each session is one key, written by scripts that compare, set and publish in one step.
// Data is that of connect-redis.
import { type EndCode, SessionError } from "../../../errors.js";
import { monotonicNow } from "../../../internal/monotonic.js";
import { createdAgain, endText, NoticeCodec, parseEnd } from "../../cluster/notice-codec.js";
import { type NoticeEvents, ReconnectingNotices } from "../../cluster/reconnecting-notices.js";
import { noop } from "../../../internal/noop.js";
import { systemNow } from "../../../internal/system-time.js";
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
import { adviceOn } from "./advice.js";
import { channelsOf, noticePrefix, slotOf } from "./channels.js";
import type { Client, Commands } from "./client.js";
import { NodeMessages } from "./node-messages.js";
import { openRedisNotices, type RedisNotices } from "./notices.js";
import { RedisConnection } from "./redis-connection.js";
import { hasMoved, isElsewhere, isReadOnly, isWrongType, redisRefusal } from "./refusals.js";
import { evaluate, type Script, scripts } from "./scripts.js";
import type { TrackedKeys } from "./tracked-keys.js";

/** How many keys one SCAN looks at. */
const scanCount = 500;

/** In place of an answer, where a connection was lost before it came. */
const unanswered = Symbol("unanswered");

/** Sessions, or the notes beside them, in the keys that begin with a prefix. */
export class RedisDriver implements Driver {
  readonly isShared = true;
  readonly isAtomic = true;
  readonly notices: ReconnectingNotices<RedisNotices>;
  readonly notes: Notes;
  readonly #client: Client;
  readonly #prefix: string;
  readonly #timeout: number;
  readonly #messages: NodeMessages;
  readonly #channelOf: (id: string) => string;
  readonly ttl: number;
  readonly #codec = new NoticeCodec();
  readonly #connection: RedisConnection;
  /** The hooks of the connection for notices: `onLost` has it opened anew. */
  #noticeEvents: NoticeEvents | undefined;

  /** `ttl` and `timeout` in ms; `notes` where they are kept under another prefix. */
  constructor(client: Client, prefix: string, ttl: number, timeout: number, notes?: RedisDriver) {
    this.notes = notes ?? this;
    this.#client = client;
    this.#connection = RedisConnection.of(client);
    this.#prefix = prefix;
    this.#channelOf = channelsOf(prefix, client.isCluster ? undefined : client.database);
    this.ttl = ttl;
    this.#timeout = timeout;
    this.#messages = new NodeMessages(prefix, client.database, this.#codec, {
      run: (script, keys, values) => this.#send((by) => evaluate(by, script, keys, values)),
      get: (key) => this.#get(key),
    });
    this.notices = new ReconnectingNotices(
      (events) => this.#openNotices((this.#noticeEvents = events)),
      this.#codec,
      this.#channelOf,
    );
  }

  /** On a cluster, the master that has the key. */
  partOf(id: string): string {
    return this.#client.isCluster ? (this.#client.masterOf(slotOf(this.#prefix + id)) ?? "") : "";
  }

  async read(id: string): Promise<string | undefined> {
    const keys = this.#keysFor(id);
    if (keys) {
      const text = await this.#whileHeard(keys, () => this.#readTracked(keys, id));
      if (text !== unanswered) return text;
    }
    return this.#get(this.#prefix + id);
  }

  async readMany(ids: readonly string[]): Promise<(string | undefined)[]> {
    // On a cluster each key needs a command of its own; those of one turn go out together. So do those that are heard of.
    if (this.#client.isCluster || ids.every((id) => this.#keysFor(id)))
      return Promise.all(ids.map((id) => this.read(id)));
    return this.#mGet(ids);
  }

  async #mGet(ids: readonly string[]): Promise<(string | undefined)[]> {
    if (this.#client.isCluster) return Promise.all(ids.map((id) => this.#get(this.#prefix + id)));
    const words = ["MGET", ...ids.map((id) => this.#prefix + id)];
    const texts = (await this.#send((client) => client.send(words, ""))) as (string | null)[];
    return texts.map((text) => text ?? undefined);
  }

  async create(id: string, text: string, expires: number): Promise<boolean> {
    const values = [text, this.#lifetime(expires), `${storedEndMemory}`, createdAgain];
    return Number(await this.#run(scripts.create, id, values)) === 1;
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
    return redisRefusal(this.#connection.lastError, this.#client.isCluster);
  }

  async advice(): Promise<string[]> {
    return (await Promise.all(this.#client.servers().map(adviceOn))).flat();
  }

  touch(id: string, text: string, expires: number, expected: string): Promise<boolean> {
    return this.#replace(id, text, expires, expected);
  }

  async remove(id: string, code: EndCode): Promise<void> {
    const end = endText(code, systemNow());
    const notice = [this.#publishCommand, this.#codec.encode(code)];
    await this.#run(scripts.remove, id, [end, `${storedEndMemory}`, ...notice, `${pastEndMemory}`, createdAgain]);
  }

  async endOf(id: string): Promise<End | undefined> {
    const key = [this.#channelOf(id)];
    const text = await this.#send((client) => evaluate(client, scripts.endOf, key, [`${pastEndMemory}`]), id);
    return parseEnd((text ?? "") as string);
  }

  async createdAgo(id: string): Promise<number | undefined> {
    const key = [this.#channelOf(id)];
    const left = await this.#send((client) => evaluate(client, scripts.createdAgain, key, [createdAgain]), id);
    return left === null ? undefined : storedEndMemory - Number(left);
  }

  publish(id: string, word: string, node?: string): Promise<number> {
    return this.#messages.send(this.#publishCommand, id, word, node);
  }

  async all(): Promise<ReadonlyMap<string, string>> {
    const sessions = new Map<string, string>();
    for await (const ids of this.#ids()) {
      // Not over a connection that hears: what expires when it is read is told to all others.
      const texts = await this.#mGet(ids);
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
    const [keys, numbers] =
      write === undefined
        ? [[], []]
        : [
            [this.#writeKeyOf(id), this.#lastWriteKeyOf(id)],
            [`${write}`, `${writeMemory}`, this.#codec.encodeMessage(`${write}`)],
          ];
    const values = [expected, text, life, ...notice, isExact, ...numbers];
    return Number(await this.#run(scripts.replace, id, values, keys)) === 1;
  }

  get #publishCommand(): string {
    return this.#client.isCluster ? "SPUBLISH" : "PUBLISH";
  }

  /** The key with the number of a node's last write to a session. */
  #writeKeyOf(id: string, node = this.#codec.node): string {
    return `${this.#channelOf(id)}:${node}`;
  }

  /** The key with the latest write of all nodes to a session, as the node wrote it: itself, and the number. */
  #lastWriteKeyOf(id: string): string {
    return `${this.#channelOf(id)}:last`;
  }

  /** In ms from now: clocks of nodes and of Redis may differ. */
  #lifetime(expires: number): string {
    return `${Number.isFinite(expires) ? Math.max(Math.ceil(expires - systemNow()), 1) : this.ttl}`;
  }

  async #get(key: string): Promise<string | undefined> {
    const text = await this.#send(async (client) => {
      try {
        // The client of a cluster may read from replicas, which may be behind, but not with a script.
        return await (this.#client.isCluster
          ? evaluate(client, scripts.read, [key], [])
          : client.send(["GET", key], key));
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
    // Who creates a session does not hear of it yet; and only once, as a second time would find it there.
    return this.#send(
      (client) => evaluate(client, script, all, values),
      script === scripts.create ? undefined : id,
      keys.length > 0,
    );
  }

  #openNotices(events: NoticeEvents): Promise<RedisNotices> {
    const { channels } = this.#messages;
    return openRedisNotices(this.#client, channels, this.#prefix, {
      ...events,
      onMessage: (channel, message) => {
        if (channels.includes(channel)) this.#onNodeMessage(message).catch(noop);
        else events.onMessage(channel, message);
      },
    });
  }

  /** Where the storage does not say which session it is about, nobody waits for an answer. */
  async #onNodeMessage(message: string): Promise<void> {
    const { id, node, word } = (await this.#messages.read(message)) ?? {};
    if (id !== undefined && node !== undefined && word !== undefined) this.notices.listener?.onMessage(id, node, word);
  }

  /** What hears of this session: all that concerns it goes that way, so that own writes are left out. */
  #keysFor(id: string): TrackedKeys | undefined {
    const keys = this.notices.connection?.keys;
    return keys && this.notices.isWatched(id) ? keys : undefined;
  }

  async #readTracked(keys: TrackedKeys, id: string): Promise<string | undefined> {
    // What others wrote is read with the number of their write.
    const more = this.notices.takeInvalidated(id) ? [this.#lastWriteKeyOf(id)] : [];
    const [text, last] = await keys.read([this.#prefix + id, ...more]);
    const [node = "", number] = last?.split(" ") ?? [];
    if (number !== undefined && node !== this.#codec.node) {
      this.notices.listener?.onWrite(id, { node, number: Number(number) });
    }
    return text ?? undefined;
  }

  /** What the connection that hears answers; `unanswered` where it is lost meanwhile, and another may be asked. */
  async #whileHeard<T>(keys: TrackedKeys, ask: () => Promise<T>, isOnce = false): Promise<T | typeof unanswered> {
    const since = monotonicNow();
    this.#connected();
    try {
      return await ask();
    } catch (error) {
      // The client finds out whether there is another primary, and which master of a cluster has the key meanwhile.
      if (isReadOnly(error) || isElsewhere(error)) return unanswered;
      if (this.isRefusal(error) && !hasMoved(error)) return this.#refuse(error);
      keys.lose(error);
      // Nobody waits for it any more; or who sent it finds out what became of it.
      if (isOnce || monotonicNow() - since >= this.#timeout) throw error;
      return unanswered;
    }
  }

  /**
   * Sends a command, about a session where `id` is one: then it is sent again over another connection, unless `isOnce`. And
   * where the client was still connected to a server that is a replica now.
   */
  async #send<T>(command: (client: Commands) => Promise<T>, id?: string, isOnce = false): Promise<T> {
    const keys = id === undefined ? undefined : this.#keysFor(id);
    if (keys) {
      const answer = await this.#whileHeard(keys, () => command(keys.commandsFor(this.#prefix + id)), isOnce);
      if (answer !== unanswered) return answer;
    }
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
    throw redisRefusal(error, this.#client.isCluster);
  }

  #connected(): Client {
    if (this.#client.isOpen) return this.#client;
    throw new SessionError("STORE_NOT_READY", {
      detail: "The Redis client is not connected.",
      fix: "await client.connect(), before the first request.",
    });
  }

  async *#ids(): AsyncGenerator<string[]> {
    const pattern = `${this.#prefix.replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`)}*`;
    for (const server of this.#connected().servers()) {
      let cursor = "0";
      do {
        const words = ["SCAN", cursor, "MATCH", pattern, "COUNT", `${scanCount}`];
        const [next, keys] = (await server.send(words, "")) as [string, string[]];
        cursor = next;
        const own = keys.filter((key) => !key.startsWith(noticePrefix));
        if (own.length > 0) yield own.map((key) => key.slice(this.#prefix.length));
      } while (cursor !== "0");
    }
  }
}
