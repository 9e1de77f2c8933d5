// Messages that the nodes of one store send each other about sessions, on one channel for all and one for each node. They
// name a session by a hash. Its id is in a key for a moment, so that no node needs to know all hashes.
import { BoundedMap } from "../../../internal/bounded-map.js";
import { type NoticeCodec, noticeName } from "../../cluster/notice-codec.js";
import { storeChannelName } from "./channels.js";
import { type Script, scripts } from "./scripts.js";

/** How long another node may take to look up which session a message is about (ms). */
const askMemory = 10_000;
/** How many of this node's messages are remembered. */
const mostAsked = 1000;

/** How commands are sent. */
interface Commands {
  run(script: Script, keys: string[], values: string[]): Promise<unknown>;
  get(key: string): Promise<string | undefined>;
}

/** A message of another node. */
interface NodeMessage {
  readonly id: string;
  readonly node: string;
  readonly word: string;
}

/** The messages of one node. */
export class NodeMessages {
  /** On which this node hears the others. */
  readonly channels: readonly string[];
  readonly #storeChannel: string;
  readonly #codec: NoticeCodec;
  readonly #commands: Commands;
  /** Of which sessions this node has asked the others, by the name that messages have for them. */
  readonly #asked = new BoundedMap<string, string>(mostAsked);

  constructor(prefix: string, database: number, codec: NoticeCodec, commands: Commands) {
    this.#storeChannel = storeChannelName(prefix, database);
    this.#codec = codec;
    this.#commands = commands;
    this.channels = [this.#storeChannel, this.#channelOf(codec.node)];
  }

  /** Sends to all nodes, or to one. Resolves with how many get it. */
  async send(publishCommand: string, id: string, word: string, node: string | undefined): Promise<number> {
    const name = noticeName(id);
    const values = [publishCommand, this.#codec.encodeMessage(`${name} ${word}`)];
    if (node !== undefined) return this.#run(scripts.publish, [this.#channelOf(node)], values);
    this.#asked.set(name, id);
    return this.#run(scripts.ask, [this.#storeChannel, this.#keyOf(name)], [...values, id, `${askMemory}`]);
  }

  /** Reads what came on one of the {@link NodeMessages.channels}; undefined for what says nothing to this node. */
  async read(message: string): Promise<NodeMessage | undefined> {
    const { node, text } = this.#codec.decode(message) ?? {};
    if (node === undefined || text === undefined) return undefined;
    const at = text.indexOf(" ");
    const name = text.slice(0, at);
    const id = this.#asked.get(name) ?? (await this.#commands.get(this.#keyOf(name)));
    return id === undefined ? undefined : { id, node, word: text.slice(at + 1) };
  }

  async #run(script: Script, keys: string[], values: string[]): Promise<number> {
    return Number(await this.#commands.run(script, keys, values));
  }

  #channelOf(node: string): string {
    return `${this.#storeChannel}:${node}`;
  }

  #keyOf(name: string): string {
    return `${this.#storeChannel}${name}`;
  }
}
