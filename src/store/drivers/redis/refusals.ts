// What Redis refuses for good, and what to do about it. Knows its error texts, and nothing of clients.
import { Refusal } from "../refusal.js";

const refusals: readonly (readonly [pattern: RegExp, fix: string])[] = [
  [
    /^(CROSSSLOT|MOVED|ASK) /,
    "The server is one of a cluster: pass a client of createCluster(), not of createClient().",
  ],
  [
    // Of a command, and of one in a script.
    /^NOPERM |ACL failure in script|The user executing the script can't/,
    'The Redis user may not do this: grant it the commands, keys and channels that docs/operate/deploy.md names under "A user with limited rights".',
  ],
  [
    /^(NOAUTH|WRONGPASS) |without any password configured/,
    'The server does not accept the user or the password: createClient({ url: "redis://user:password@host:6379" }).',
  ],
  [
    /^WRONGTYPE /,
    'A key with the prefix holds no session; another application may use the prefix: redisStore({ prefix: "another:" }).',
  ],
  [
    /^ERR ([Uu]nknown (Redis )?command|syntax error)|This Redis command is not allowed from script/,
    "The server lacks a command that sessions need: use Redis 7 or newer, or Valkey, and allow scripts.",
  ],
  [
    /^READONLY /,
    "The server is a replica and refuses changes; a new connection led to it again. Give the client the address of the primary.",
  ],
];

/** An error of the server as a refusal; any other error as it is: an outage, which passes. */
export function redisRefusal(error: unknown, isCluster: boolean): unknown {
  const message = error instanceof Error ? error.message : "";
  const [, fix] = refusals.find(([pattern]) => pattern.test(message)) ?? [];
  // A cluster's client follows its slots by itself: that it could not is an outage.
  if (fix === undefined || (isCluster && fix === refusals[0]?.[1])) return error;
  // The arguments of a command hold ids.
  return new Refusal(`${fix} Redis says: ${message.replace(/,? with args.*/s, "")}.`);
}

/** True where a key holds something of another program, which is no reason to think that Redis does not answer. */
export function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.includes("WRONGTYPE");
}

/** True where a server takes no changes: the primary is another one by now. Nothing was changed. */
export function isReadOnly(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("READONLY ");
}

/** True where a server of a cluster does not have this key any more. */
export function hasMoved(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("MOVED ");
}

/** True while a key is on its way to another server of a cluster. */
export function isElsewhere(error: unknown): boolean {
  return error instanceof Error && /^(ASK|TRYAGAIN|CLUSTERDOWN) /.test(error.message);
}
