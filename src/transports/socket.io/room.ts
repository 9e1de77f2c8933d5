// The room that holds every socket of a session, on all nodes.
import { hash } from "node:crypto";

/** What the names of all such rooms begin with. */
export const roomPrefix = "session:";

/** The name of a session's room: a hash, which tells nothing about its id. */
export function roomOf(id: string): string {
  const name = roomPrefix + hash("sha256", id, "base64url").slice(0, 22);
  // One flat string: as a key that stays, its pieces would take twice the memory.
  return Buffer.from(name, "latin1").toString("latin1");
}
