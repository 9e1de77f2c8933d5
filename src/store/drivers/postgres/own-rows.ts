// Rows of the table that are no sessions: why a session ended, which sessions a user has, what a node wrote last. Nobody
// can have an id like theirs: cookies are signed, and the `sessionId` option takes none.
import type { EndCode } from "../../../errors.js";
import { createdAgain, endText, noticeName } from "../../cluster/notice-codec.js";

/** What the ids of all these rows start with. */
export const ownPrefix = "socket-session:";

/** What the ids of ends start with, before the session's name in notices. */
export const endPrefix = `${ownPrefix}ended:`;

/** The row that says why a session ended, or that it was created again since. */
export function endRowId(id: string): string {
  return endPrefix + noticeName(id);
}

/** The row of a note. */
export function noteRowId(name: string): string {
  return `${ownPrefix}user:${name}`;
}

/** The row with the number of a node's last write to a session. */
export function writeRowId(id: string, node: string): string {
  return `${ownPrefix}write:${noticeName(id)}:${node}`;
}

/** The data of such a row: it looks like a session to programs that list the table. */
export function ownRow(fields: object): string {
  return JSON.stringify({ cookie: { originalMaxAge: null, expires: null }, ...fields });
}

/** The data of {@link endRowId} after an end. */
export function endRow(code: EndCode, at: number): string {
  return ownRow({ ended: endText(code, at) });
}

/** The data of {@link endRowId} when the id has a session again. */
export const createdRow = ownRow({ [createdAgain]: true });
