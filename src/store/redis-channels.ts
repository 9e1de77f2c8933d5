// What a session's channel is called in Redis. Knows nothing of clients.
import { hash } from "node:crypto";
import calculateSlot from "cluster-key-slot";

/** What channels, and the keys that tell of ends, start with. */
export const noticePrefix = "socket-session:";

/**
 * The channel of a session: a hash of its key, which tells nothing about it. On a cluster it has to be in the slot of
 * that key, so that one script may use both: a text in braces decides on the slot.
 */
export function channelName(key: string, isCluster: boolean): string {
  const name = hash("sha256", key, "base64url").slice(0, 22);
  return isCluster ? `${noticePrefix}{${tagOf(calculateSlot(key))}}${name}` : noticePrefix + name;
}

/** For each slot of a cluster a short text that belongs to it, as far as they were needed yet. */
const tags = new Map<number, string>();
let tried = 0;

function tagOf(slot: number): string {
  for (;;) {
    const tag = tags.get(slot);
    if (tag !== undefined) return tag;
    const candidate = (tried++).toString(36);
    const own = calculateSlot(candidate);
    if (!tags.has(own)) tags.set(own, candidate);
  }
}
