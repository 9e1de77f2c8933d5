// What `sessions.stream()` gives, as the application sees it. Types alone.
import type { SocketSession } from "../../session/socket-session.js";
import type { Listenable, Listener } from "./listeners.js";

/**
 * A streamed answer, which is a connection of its session like a socket.
 *
 * @example
 * ```ts
 * app.get("/events", (req, res) => {
 *   const stream = sessions.stream(req, res);
 *   stream.send("news", { id: 1 });
 *   bus.on("news", stream.listener("news"));
 * });
 * ```
 */
export interface SessionStream {
  /** The live session: always current, saved when changed. Without the session middleware it is there after `ready`. */
  readonly session: SocketSession;
  /**
   * True when the client is in, false where it was refused, and so answered. Nobody has to wait for it: what is written
   * before waits, and nothing of it is sent to who is refused.
   */
  readonly ready: Promise<boolean>;
  /**
   * Aborted when the session ends and when the client leaves, or was refused. The reason is a `SessionError`, or an
   * `AbortError` where the client has left. An answer that is complete aborts nothing.
   *
   * @example
   * ```ts
   * const answer = await fetch(model, { signal: stream.signal });
   * ```
   */
  readonly signal: AbortSignal;
  /** The `id` of the last event that this client got before it came back; undefined where it got none. */
  readonly lastEventId: string | undefined;
  /**
   * Sends an event of text/event-stream, with its headers where they are not sent yet. Texts are sent as they are,
   * everything else as JSON. False where the client reads slowly, or is gone. A client that leaves more than
   * `maxBufferedBytes` unread is closed with `LIMIT_REACHED`.
   *
   * @throws SessionError `OPTION_INVALID` for a name or an id with a line break, or where the headers of another type were sent.
   */
  send(event: string, data?: unknown, options?: { readonly id?: string | undefined }): boolean;
  /**
   * A listener that sends what it is called with, for an emitter of yours. Node's emitters lose it when the stream is
   * over, or, where it was never called before, at its next call. See {@link SessionStream.listen} for any other.
   *
   * @example
   * ```ts
   * bus.on("news", stream.listener("news"));
   * ```
   */
  listener(name: string): Listener;
  /**
   * Listens to an emitter and sends what its event is emitted with, as an event of the same name, or of `name`. Stops when
   * the stream is over.
   *
   * @example
   * ```ts
   * stream.listen(bus, `news of ${user}`, "news");
   * ```
   */
  listen(emitter: Listenable, event: string, name?: string): this;
  /** Sends the headers of text/event-stream now, for a page that hears of its session alone. */
  open(): this;
}
