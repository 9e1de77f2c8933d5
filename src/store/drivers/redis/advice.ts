// What is wrong with the settings of a Redis server for one that keeps sessions. Asks it by INFO alone.
import type { Commands } from "./client.js";

/** Sentences, each with the line to write; none where the server may not say. */
export async function adviceOn(server: Commands): Promise<string[]> {
  const info = String(await server.send(["INFO"], ""));
  const valueOf = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const advice: string[] = [];
  const policy = valueOf("maxmemory_policy");
  const isLimited = !["", "0"].includes(valueOf("maxmemory"));
  if (isLimited && policy !== "noeviction")
    advice.push(
      `Redis has a limit of memory and the policy ${policy}: when it is full, it drops sessions. Write CONFIG SET maxmemory-policy noeviction.`,
    );
  const version = valueOf("redis_version");
  // Valkey says 7.2.4 here.
  if (Number.parseInt(version, 10) < 7)
    advice.push(`Redis is of version ${version}, and 7 is needed: install a newer one.`);
  return advice;
}
