// What nodes write to each other, and what they leave in storage about a session's end. Names sessions by a hash: channels
// and payloads are seen by whoever may look at the server.
import { hash, randomBytes } from "node:crypto";
import type { EndCode } from "../../errors.js";
import type { NoticeKind, WriteId } from "../drivers/driver.js";

const words: { readonly [kind in NoticeKind]: string } = {
  changed: "changed",
  SESSION_DESTROYED: "destroyed",
  SESSION_EXPIRED: "expired",
  SESSION_ROTATED: "rotated",
};
const kindOf = new Map(Object.entries(words).map(([kind, word]) => [word, kind as NoticeKind]));

/** Writes the messages of one node, which names itself in each, and reads those of the others. */
export class NoticeCodec {
  /** What the node calls itself. */
  readonly node = randomBytes(6).toString("base64url");

  /** A notice; `write` is the number of the write, where it has one. */
  encode(kind: NoticeKind, write?: number): string {
    return this.encodeMessage(write === undefined ? words[kind] : `${words[kind]} ${write}`);
  }

  /** A message that belongs to no write. */
  encodeMessage(text: string): string {
    return `${this.node} ${text}`;
  }

  /**
   * Reads what another node wrote; undefined for a message of this node, and for nonsense. `kind` is undefined for a
   * message that is no notice.
   */
  decode(
    message: string,
  ): { node: string; text: string; kind: NoticeKind | undefined; write: WriteId | undefined } | undefined {
    const at = message.indexOf(" ");
    const node = message.slice(0, at);
    if (at < 1 || node === this.node) return undefined;
    const text = message.slice(at + 1);
    const [word = "", number] = text.split(" ");
    return {
      node,
      text,
      kind: kindOf.get(word),
      write: number === undefined ? undefined : { node, number: Number(number) },
    };
  }
}

/** How a session is named in notices: a hash, which reveals nothing about the id. */
export function noticeName(id: string): string {
  return hash("sha256", id, "hex").slice(0, 32);
}

/** What a storage remembers of a session's end, for nodes that missed the notice. */
export function endText(code: EndCode, at: number): string {
  return `${words[code]} ${at}`;
}

/** What a storage keeps in place of an end when the id has a session again. */
export const createdAgain = "created";

/** Reads what {@link endText} wrote. */
export function parseEnd(text: string): { code: EndCode; at: number } | undefined {
  const [word = "", at] = text.split(" ");
  const kind = kindOf.get(word);
  return kind === undefined || kind === "changed" ? undefined : { code: kind, at: Number(at) };
}
