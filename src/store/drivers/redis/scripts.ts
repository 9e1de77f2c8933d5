// The Lua scripts: each compares, sets and publishes in one step. A server that has forgotten one is sent it again.
import { hash } from "node:crypto";
import type { Commands } from "./client.js";

/** A script, and the hash by which a server knows it. */
export interface Script {
  readonly text: string;
  readonly sha: string;
}

function luaScript(text: string): Script {
  return { text, sha: hash("sha1", text, "hex") };
}

/**
 * KEYS[1] is the session. KEYS[2] is its channel and, for a while after its end, the key of its end: that says why it
 * ended, or that it was created again since.
 */
export const scripts = {
  read: luaScript(`return redis.call("GET", KEYS[1])`),
  /** Where MGET found no text: it may hold something of another kind, which is "". */
  readAny: luaScript(`
    local text = redis.pcall("GET", KEYS[1])
    if type(text) == "table" and string.find(text.err or "", "WRONGTYPE", 1, true) then return "" end
    return text`),
  /** ARGV: text, ms to live, ms to remember that it was created again, the word for that. */
  create: luaScript(`
    if not redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then return 0 end
    redis.call("SET", KEYS[2], ARGV[4], "XX", "PX", ARGV[3])
    return 1`),
  /** KEYS[1] is the key of the end. ARGV: the word for "created again". */
  createdAgain: luaScript(`
    if redis.call("GET", KEYS[1]) ~= ARGV[1] then return false end
    return redis.call("PTTL", KEYS[1])`),
  /** KEYS[1] is the key of the end. ARGV: for how many ms it is still stored when it counts no longer. */
  endOf: luaScript(`
    if redis.call("PTTL", KEYS[1]) <= tonumber(ARGV[1]) then return false end
    return redis.call("GET", KEYS[1])`),
  /**
   * ARGV: expected, text, ms to live or "" to leave it, the command that publishes or "", the message, "1" where it may
   * live shorter than it does (old services prolong it without changing its text). KEYS[3] is this node's last write to
   * the session, KEYS[4] that of any node, with number, ms to remember it, and number with node in ARGV. Sent again, the
   * script answers as before. A write that comes after a newer one of its node is too late. Where the connection hears of
   * the keys that it read, its own write made it forget the key: so the script ends with a read.
   */
  replace: luaScript(`
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
    if KEYS[4] then redis.call("SET", KEYS[4], ARGV[9], "PX", ARGV[8]) end
    if ARGV[4] ~= "" then redis.call(ARGV[4], KEYS[2], ARGV[5]) end
    redis.call("PTTL", KEYS[1])
    return 1`),
  /**
   * ARGV: the end, ms to remember it, the command that publishes, the message, for how many ms an end is still stored
   * when it counts no longer, the word for "created again". The first end stands.
   */
  remove: luaScript(`
    redis.call("DEL", KEYS[1])
    if redis.call("PTTL", KEYS[2]) <= tonumber(ARGV[5]) or redis.call("GET", KEYS[2]) == ARGV[6] then
      redis.call("SET", KEYS[2], ARGV[1], "PX", ARGV[2])
    end
    redis.call(ARGV[3], KEYS[2], ARGV[4])
    return 1`),
  /** KEYS[1] is the channel. ARGV: the command that publishes, the message. Answers how many get it. */
  publish: luaScript(`return redis.call(ARGV[1], KEYS[1], ARGV[2])`),
  /** As publish, about a session: KEYS[2] tells its id to who gets the message. ARGV: the same, the id, ms to keep it. */
  ask: luaScript(`
    redis.call("SET", KEYS[2], ARGV[3], "PX", ARGV[4])
    return redis.call(ARGV[1], KEYS[1], ARGV[2])`),
  /** A connection that hears of what it read has to hear of KEYS[1] after this: it wrote it, as replace does. */
  probe: luaScript(`
    redis.call("SET", KEYS[1], "1", "PX", 10000)
    return redis.call("PTTL", KEYS[1])`),
};

/** Runs a script by its hash, or by its text where the server does not know it. */
export async function evaluate(
  commands: Commands,
  script: Script,
  keys: readonly string[],
  values: readonly string[],
): Promise<unknown> {
  const [key = ""] = keys;
  const rest = [`${keys.length}`, ...keys, ...values];
  try {
    return await commands.send(["EVALSHA", script.sha, ...rest], key);
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return commands.send(["EVAL", script.text, ...rest], key);
  }
}
