// The streams of one createSessions(): what those with the same options share is made once. Knows no session.
import type { IncomingMessage } from "node:http";
import { SessionError } from "../../errors.js";
import { invalid, kindOf } from "../../internal/check-options.js";
import { type StreamAttachment, StreamConnection } from "./connection.js";
import { OpenStreams } from "./open-streams.js";
import type { StreamResponse } from "./response.js";
import type { SessionStream } from "./session-stream.js";

/** A request of Node's, of HTTP/1.1 or HTTP/2, as frameworks hand it to their handlers. */
export interface HttpRequest {
  readonly method?: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly socket: unknown;
}

/** A response of Node's, of HTTP/1.1 or HTTP/2. */
export interface HttpResponse {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  write(chunk: never): unknown;
  end(): unknown;
}

/** What the options of a stream come to. */
export interface StreamRules extends Omit<StreamAttachment, "open" | "requestSessions"> {
  readonly keepAlive: number;
}

/** Opens the streams of one createSessions(). */
export class Streams<Options extends object> {
  readonly #requestSessions: StreamAttachment["requestSessions"];
  readonly #read: (options: Options | undefined) => StreamRules;
  /** By the options object, which a route mostly has one of. */
  readonly #attachments = new WeakMap<object, StreamAttachment>();
  /** By the pause between comments. */
  readonly #open = new Map<number, OpenStreams>();
  #isClosed = false;

  constructor(
    requestSessions: StreamAttachment["requestSessions"],
    read: (options: Options | undefined) => StreamRules,
  ) {
    this.#requestSessions = requestSessions;
    this.#read = read;
  }

  /** @throws SessionError `OPTION_INVALID`, `SESSIONS_CLOSED` */
  open(request: HttpRequest, response: HttpResponse, options: Options | undefined): SessionStream {
    if (this.#isClosed) throw new SessionError("SESSIONS_CLOSED");
    const attachment = this.#attachmentOf(options);
    checkExchange(request, response);
    return new StreamConnection(
      attachment,
      request as unknown as IncomingMessage,
      response as unknown as StreamResponse,
    );
  }

  /** The sessions are closed. */
  leave(): void {
    this.#isClosed = true;
    for (const open of this.#open.values()) open.leave();
  }

  #attachmentOf(options: Options | undefined): StreamAttachment {
    const key = options ?? this;
    const known = this.#attachments.get(key);
    if (known) return known;
    const { keepAlive, ...rest } = this.#read(options);
    let open = this.#open.get(keepAlive);
    if (!open) this.#open.set(keepAlive, (open = new OpenStreams(keepAlive)));
    const attachment = { ...rest, open, requestSessions: this.#requestSessions };
    this.#attachments.set(key, attachment);
    return attachment;
  }
}

/** Refuses what is no request and no response of Node's: one is missing, they are in the wrong order, or of a framework. */
function checkExchange(request: unknown, response: unknown): void {
  const { headers } = Object(request) as { headers?: unknown };
  const { setHeader } = Object(response) as { setHeader?: unknown };
  if (typeof headers === "object" && typeof setHeader === "function") return;
  const isFirst = typeof headers !== "object";
  const which = isFirst ? `first argument is ${kindOf(request)}` : `second argument is ${kindOf(response)}`;
  throw invalid(
    `stream() takes a request and a response of Node: sessions.stream(req, res), in Fastify sessions.stream(request.raw, reply.raw). The ${which}.`,
  );
}
