// One streamed answer over HTTP and its session: Server-Sent Events, or what the application writes itself. Its end is
// the client's last event, or a cut answer.
import type { IncomingMessage } from "node:http";
import { type CloseReason, closeReason, type ErrorCode, type SessionCode, SessionError } from "../../errors.js";
import { isEventSource } from "../../handshake/event-source.js";
import { after, type Awaitable, isPromise } from "../../internal/awaitable.js";
import { invalid } from "../../internal/check-options.js";
import { setHidden } from "../../internal/hidden.js";
import type { SocketSession } from "../../session/socket-session.js";
import type { SessionView } from "../../session/view.js";
import { statusOf } from "../../statuses.js";
import { type Attachment, SessionConnection } from "../session-connection.js";
import { checkEvent, checkEventId, comment, eventText, retryText } from "./event-text.js";
import { type Listenable, type Listener, Listeners, spent } from "./listeners.js";
import { sessionUntil } from "./pending-session.js";
import { corsOf, cut, endUnsaved, HeldResponse, isComplete, isGone, silence, type StreamResponse } from "./response.js";
import type { SessionStream } from "./session-stream.js";
import type { OpenStreams } from "./open-streams.js";

/** What streams with the same options work with. */
export interface StreamAttachment extends Attachment {
  /** Those with the same pause between comments. */
  readonly open: OpenStreams;
  /** How many bytes may wait for the client. */
  readonly maxBufferedBytes: number;
  readonly requestSessions: {
    /** The session that the middleware has put on a request. */
    of(request: IncomingMessage): object | undefined;
    /** Saves what the application has changed in it, and keeps it from being touched when the answer is over. */
    settle(request: IncomingMessage): Awaitable<void>;
    save(request: IncomingMessage): Awaitable<void>;
  };
  onError(error: unknown): void;
}

/** How long (ms) an answer that is over may take to reach its client. */
const lingerTime = 5000;

/** One streamed answer and its session. */
export class StreamConnection extends SessionConnection<never> implements SessionStream {
  declare readonly attachment: StreamAttachment;
  readonly #request: IncomingMessage;
  readonly #response: StreamResponse;
  /** While the client is being admitted, where that takes time. */
  #admitting: Promise<void> | undefined;
  #held: HeldResponse | undefined;
  /** Refused, ended or left. */
  #isOver = false;
  #isEventStream = false;
  /** Behind compression: the bytes that wait there, as far as known. Nobody else knows of them. */
  #compressing = 0;
  #listeners: Listeners | undefined;
  #controller: AbortController | undefined;
  #abortReason: unknown;
  #face: SocketSession | undefined;

  constructor(attachment: StreamAttachment, request: IncomingMessage, response: StreamResponse) {
    super(attachment);
    this.#request = request;
    this.#response = response;
    if (connectionKey in response)
      throw invalid("This answer is a stream already: use what the first sessions.stream() returned.");
    if (isGone(response)) {
      this.#finish(clientLeft());
      return;
    }
    setHidden(response, connectionKey, this);
    response.on("close", closed);
    const { requestSessions } = attachment;
    const admit = (): Awaitable<unknown> =>
      after(this.admit(request, corsOf(request, response)), () => this.permit(request));
    const admitting = after(requestSessions.settle(request), admit);
    if (!isPromise(admitting)) {
      this.#onAdmitted();
      return;
    }
    this.#held = new HeldResponse(response, attachment.maxBufferedBytes, () => this.overflow());
    this.#admitting = admitting.then(() => this.#onAdmitted());
  }

  // --- SessionStream ---

  get ready(): Promise<boolean> {
    return Promise.resolve(this.#admitting).then(() => !this.#isOver);
  }

  override get session(): SocketSession {
    if (this.live || !this.#admitting || this.#isOver) return super.session;
    const { requestSessions } = this.attachment;
    if (!this.#face && !requestSessions.of(this.#request)) {
      throw invalid(
        "The session of this stream is still being read: await stream.ready before you use stream.session.",
      );
    }
    return (this.#face ??= sessionUntil(
      () => this.live?.data,
      () => requestSessions.of(this.#request) ?? super.session,
    ));
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
    return this.#controller.signal;
  }

  get lastEventId(): string | undefined {
    const id = this.#request.headers["last-event-id"];
    // Node reads headers as Latin-1; clients send UTF-8.
    return typeof id === "string" && id !== "" ? Buffer.from(id, "latin1").toString() : undefined;
  }

  open(): this {
    if (!this.#isOver && !this.#isEventStream) this.#open();
    return this;
  }

  send(event: string, data?: unknown, { id }: { readonly id?: string | undefined } = {}): boolean {
    checkEvent(event);
    checkEventId(id);
    this.open();
    return !this.#isOver && this.#write(eventText(event, data, id));
  }

  listener(name: string): Listener {
    checkEvent(name);
    this.open();
    if (this.#isOver) return spent;
    return this.#ownListeners.create(name);
  }

  listen(emitter: Listenable, event: string, name = event): this {
    checkEvent(name);
    this.open();
    if (this.#isOver) return this;
    this.#ownListeners.listen(emitter, event, name);
    return this;
  }

  get #ownListeners(): Listeners {
    return (this.#listeners ??= new Listeners((event, data) => void this.send(event, data)));
  }

  // --- admission ---

  #onAdmitted(): void {
    const held = this.#held;
    this.#admitting = this.#held = undefined;
    if (this.#isOver) {
      this.release();
      return;
    }
    if (this.refusalCode !== undefined) {
      this.#refuse(this.refusalCode, held);
      return;
    }
    const { requestSessions, onBound, open, onError } = this.attachment;
    onBound(this.#request);
    // Behind the middleware, the request keeps express-session's object: that is what express-session looks at.
    if (!requestSessions.of(this.#request)) this.bind(undefined, this.#request);
    // What was changed while the client was being admitted.
    if (held) void requestSessions.save(this.#request);
    // What the client asks for by itself counts as what it does; an EventSource comes back on its own.
    if (!isEventSource(this.#request)) void this.live?.beforeEvent();
    open.add(this);
    held?.release(onError);
    if (this.#isEventStream) this.#greet();
  }

  /** Answers who may not come in. */
  #refuse(code: ErrorCode, held: HeldResponse | undefined): void {
    held?.drop();
    this.#answer(closeReason(code as SessionCode));
    this.#finish(new SessionError(code));
    this.release();
  }

  #answer(reason: CloseReason): void {
    const response = this.#response;
    if (isGone(response)) return;
    if (response.headersSent) {
      cut(response);
      return;
    }
    for (const name of entityHeaders) response.removeHeader(name);
    response.setHeader("Cache-Control", "no-store" as never);
    // An EventSource that is answered with any other status never comes back.
    if (reason.retry && isEventSource(this.#request)) {
      response.statusCode = 200;
      response.setHeader("Content-Type", "text/event-stream" as never);
      endUnsaved(this.#request, response, endText(reason));
    } else {
      response.statusCode = statusOf[reason.code] ?? 503;
      response.setHeader("Content-Type", "application/json" as never);
      if (reason.retry) response.setHeader("Retry-After", "1" as never);
      endUnsaved(this.#request, response, JSON.stringify(reason));
    }
    silence(response);
  }

  // --- events ---

  #open(): void {
    this.#isEventStream = true;
    const response = this.#response;
    const type = response.getHeader("Content-Type");
    const isTyped = typeof type === "string" && type.startsWith("text/event-stream");
    if (response.headersSent || this.#held?.hasBegun) {
      this.#isEventStream = isTyped || type === undefined;
      if (!this.#isEventStream)
        throw invalid(`Events cannot be sent in an answer whose headers were sent with ${JSON.stringify(type)}.`);
    } else {
      if (!isTyped) response.setHeader("Content-Type", "text/event-stream" as never);
      for (const [name, value] of eventStreamHeaders)
        if (!response.hasHeader(name)) response.setHeader(name, value as never);
      response.flushHeaders();
    }
    if (response.flush) response.on("drain", () => void (this.#compressing = 0));
    if (!this.#admitting) this.#greet();
  }

  /** Shows the page its session, first of all. Who sent HEAD has got all of the answer: no body would ever end it. */
  #greet(): void {
    if (this.#request.method === "HEAD") {
      this.#endAnswer();
      this.#finish(clientLeft());
      this.release();
      return;
    }
    const view = this.live ? this.live.sessionView : { view: null, expiresIn: null };
    if (view) this.showView(view);
  }

  showView(view: SessionView): void {
    if (this.#isEventStream && !this.#isOver) this.#write(eventText("session:view", view));
  }

  /** Tells proxies that the stream is alive; what waits there tells them more. */
  keepAlive(): void {
    if (this.#isEventStream && this.#response.writableLength === 0) this.#write(comment);
  }

  #write(text: string): boolean {
    const response = this.#response;
    // The application has ended its answer: to write would be an error that nobody catches.
    if (response.writableEnded || this.#held?.hasEnded) return false;
    if (response.writableLength + this.#compressing > this.attachment.maxBufferedBytes) {
      this.overflow();
      return false;
    }
    const isTaken = response.write(text);
    if (!response.flush) return isTaken;
    if (!isTaken) this.#compressing += Buffer.byteLength(text);
    response.flush();
    return isTaken;
  }

  // --- the end ---

  /** These sessions are closed: an EventSource comes back, to another node perhaps. */
  leave(): void {
    if (!this.#isEventStream || this.#isOver) return;
    this.#response.write(retryText());
    this.#endAnswer();
    this.#finish(new SessionError("SESSIONS_CLOSED"));
    this.release();
  }

  protected close(reason: CloseReason): void {
    if (this.#isOver) return;
    this.#held?.drop();
    this.#held = undefined;
    const response = this.#response;
    if (!response.headersSent) this.#answer(reason);
    else if (!this.#isEventStream) {
      cut(response);
      silence(response);
    } else if (!response.writableEnded) {
      response.write(endText(reason));
      this.#endAnswer();
    }
    this.#finish(new SessionError(reason.code));
  }

  #endAnswer(): void {
    const response = this.#response;
    endUnsaved(this.#request, response);
    silence(response);
    // A client that does not read would keep its connection for as long as it likes.
    const timer = setTimeout(() => cut(response), lingerTime).unref();
    response.on("close", () => clearTimeout(timer));
  }

  /** The response is closed: complete, or the client has left. */
  override release(): void {
    super.release();
    this.attachment.open.delete(this);
    if (!this.#isOver) this.#finish(isComplete(this.#response) ? undefined : clientLeft());
  }

  /** Nothing is sent any more. With a reason, what the application does for this stream is aborted. */
  #finish(reason: unknown): void {
    this.#isOver = true;
    this.attachment.open.delete(this);
    this.#abortReason = reason;
    this.#listeners?.remove();
    this.#listeners = undefined;
    if (reason !== undefined) this.#controller?.abort(reason);
  }

  /** A client of HTTP sends nothing after its request. */
  protected deliver(): void {}
}

const connectionKey = Symbol("socket-session");

interface KeyedResponse {
  readonly [connectionKey]?: StreamConnection;
}

/** One listener for all streams. */
function closed(this: KeyedResponse): void {
  this[connectionKey]?.release();
}

const eventStreamHeaders = [
  // no-transform: compression would wait for more than one event.
  ["Cache-Control", "no-cache, no-transform"],
  // nginx would wait, too.
  ["X-Accel-Buffering", "no"],
] as const;

/** Headers of an answer that is not given. */
const entityHeaders = ["Content-Length", "Content-Encoding", "Content-Disposition", "ETag", "Last-Modified"];

function endText(reason: CloseReason): string {
  return (reason.retry ? retryText() : "") + eventText("session:end", reason);
}

function clientLeft(): DOMException {
  return new DOMException("The client has left.", "AbortError");
}
