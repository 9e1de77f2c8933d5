// What the application hears of its sessions. A listener that throws keeps nobody else from being told.
import { EventEmitter } from "node:events";
import createDebug from "debug";
import type { EndCode } from "./errors.js";
import type { Refusal } from "./handshake/admission.js";
import { safely } from "./internal/safely.js";
import type { LiveSession } from "./session/live-session.js";
import { invalid, kindOf, type NamesOf, suggestion } from "./internal/check-options.js";
import { printUnheard } from "./warnings.js";

const debug = createDebug("socket-session:sessions");

/** The events of `sessions.on()`. */
export interface SessionsEvents {
  /** The data of a live session changed, wherever that was done. */
  change: [live: LiveSession];
  /** A live session ended. */
  end: [live: LiveSession, code: EndCode];
  /**
   * The store came back from an outage without what it had stored: `"changes"` of a live session, which has older data
   * now, or the whole `"session"`, which then ends with `SESSION_DESTROYED`.
   */
  lost: [live: LiveSession, what: "changes" | "session"];
  /** A handshake was refused. */
  refused: [refusal: Refusal];
  /** A background save failed (it is tried again), a change came too late, or `allow`, `origins` or `sessionId` threw. */
  error: [error: unknown];
}

const eventNames: NamesOf<SessionsEvents> = { change: true, end: true, lost: true, refused: true, error: true };

/** @throws SessionError `OPTION_INVALID` */
export function checkListener(event: unknown, listener: unknown): void {
  const names = Object.keys(eventNames);
  if (typeof event !== "string") throw invalid(`An event's name is one of ${names.join(", ")}, not ${kindOf(event)}.`);
  if (!Object.hasOwn(eventNames, event))
    throw invalid(`sessions has no event ${JSON.stringify(event)}.${suggestion(event, names)}`);
  if (typeof listener === "function") return;
  throw invalid(`The listener of the event "${event}" must be a function, not ${kindOf(listener)}.`);
}

/** Tells the listeners of one createSessions(). */
export class Events extends EventEmitter {
  tell<Event extends keyof SessionsEvents>(event: Event, ...values: SessionsEvents[Event]): void {
    if (this.listenerCount(event) > 0) safely(() => this.emit(event, ...values));
  }

  /** Tells what failed in the background. */
  readonly fail = (error: unknown): void => {
    debug("%s", error);
    if (this.listenerCount("error") > 0) this.tell("error", error);
    else printUnheard(error);
  };
}
