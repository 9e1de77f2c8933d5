// Events as text of the type text/event-stream (https://html.spec.whatwg.org/multipage/server-sent-events.html). Knows no
// response.
import { invalid } from "../../internal/check-options.js";

/** A comment, which clients ignore: it tells proxies that the stream is alive. */
export const comment = ":\n\n";

/** How long an EventSource waits (ms) before it comes back: at least, and how much more by chance. */
const pause = { least: 1000, spread: 2000 };

/** Asks EventSources to come back after different times: an end may concern all of them. */
export function retryText(): string {
  return `retry: ${Math.round(pause.least + Math.random() * pause.spread)}\n`;
}

/** One event. Texts are sent as they are, everything else as JSON; undefined is an empty text. */
export function eventText(event: string, data: unknown, id?: string): string {
  const text = typeof data === "string" ? data : data === undefined ? "" : (JSON.stringify(data) ?? "");
  let fields = `event: ${event}\n`;
  if (id !== undefined) fields += `id: ${id}\n`;
  // A line break in the data would end the field, and two of them the event.
  if (/[\r\n]/.test(text)) for (const line of text.split(/\r\n|[\r\n]/)) fields += `data: ${line}\n`;
  else fields += `data: ${text}\n`;
  return `${fields}\n`;
}

/** @throws SessionError `OPTION_INVALID` for the name of an event that cannot be one. */
export function checkEvent(event: unknown): void {
  if (typeof event !== "string" || event === "" || /[\r\n]/.test(event))
    throw invalid("An event's name must be a text of one line, and not empty.");
}

/** @throws SessionError `OPTION_INVALID` for an event's id that cannot be one. */
export function checkEventId(id: unknown): void {
  // oxlint-disable-next-line no-control-regex -- clients drop an id with NUL
  if (id !== undefined && (typeof id !== "string" || /[\r\n\0]/.test(id)))
    throw invalid("An event's id must be a text of one line, without NUL.");
}
