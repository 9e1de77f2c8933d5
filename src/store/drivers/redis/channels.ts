// What the channels of sessions and nodes are called in Redis, and to which part of a cluster a key belongs. Knows nothing
// of clients.
import { hash } from "node:crypto";

/** What channels start with, and keys of ends. */
export const noticePrefix = "socket-session:";

/**
 * The channel of a session on one server: a hash of its key, which reveals nothing about it. A message reaches all
 * databases of a server, so that all but the first have channels of their own.
 */
export function channelName(key: string, database: number): string {
  return noticePrefix + hashOf(database === 0 ? key : `${database}\n${key}`);
}

/** On a cluster it has to be in the slot of the key, so that one script may use both: a text in braces decides on that. */
export function clusterChannelName(key: string): string {
  return `${noticePrefix}{${tagOf(slotOf(key))}}${hashOf(key)}`;
}

/** Names the channel of each session below a prefix; `database` is undefined on a cluster. */
export function channelsOf(prefix: string, database: number | undefined): (id: string) => string {
  // One write needs it several times.
  let last: { readonly id: string; readonly name: string } | undefined;
  return (id) => {
    if (last?.id === id) return last.name;
    const key = prefix + id;
    last = { id, name: database === undefined ? clusterChannelName(key) : channelName(key, database) };
    return last.name;
  };
}

/** On which all nodes of a store hear each other: of one prefix in one database. Names in its slot begin with it. */
export function storeChannelName(prefix: string, database: number): string {
  return `${noticePrefix}{${hashOf(`${database}\n${prefix}`)}}`;
}

/** A key that is in a slot of a cluster. */
export function keyInSlot(slot: number, name: string): string {
  return `${noticePrefix}{${tagOf(slot)}}${name}`;
}

function hashOf(text: string): string {
  return hash("sha256", text, "base64url").slice(0, 22);
}

/** For each slot of a cluster a short text that belongs to it, as far as they were needed yet. */
const tags = new Map<number, string>();
let tried = 0;

function tagOf(slot: number): string {
  for (;;) {
    const tag = tags.get(slot);
    if (tag !== undefined) return tag;
    const candidate = (tried++).toString(36);
    const own = slotOf(candidate);
    if (!tags.has(own)) tags.set(own, candidate);
  }
}

const slotCount = 16_384;
const polynomial = 0x1021;

/** The slot of a cluster that a key or a channel is in: CRC16 (XMODEM) of what stands in its first braces, or of all. */
export function slotOf(key: string): number {
  const bytes = Buffer.from(/^[^{]*\{([^}]+)\}/s.exec(key)?.[1] ?? key);
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ polynomial : crc << 1) & 0xffff;
  }
  return crc % slotCount;
}
