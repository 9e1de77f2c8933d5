// What a stream does with a response of Node's, of HTTP/1.1 or HTTP/2, below whatever middleware has wrapped it: holds
// what is written until the client is admitted, ends it without saving the session, and silences it. Knows no session.
import type { IncomingMessage } from "node:http";
import type { CorsOptions } from "../../handshake/cors.js";
import { replaceMethod, setHidden } from "../../internal/hidden.js";
import { safely } from "../../internal/safely.js";

/** A response, as far as it is used here. */
export interface StreamResponse {
  statusCode: number;
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly writableLength: number;
  getHeader(name: string): unknown;
  getHeaders(): object;
  hasHeader(name: string): boolean;
  setHeader(name: string, value: never): unknown;
  removeHeader(name: string): unknown;
  flushHeaders(): void;
  write(chunk: string): boolean;
  end(body?: string): unknown;
  destroy(): unknown;
  on(event: "close" | "drain", listener: () => void): unknown;
  /** Of HTTP/1.1. */
  readonly destroyed?: boolean;
  /** Of HTTP/2. */
  readonly stream?: { readonly destroyed: boolean; close(code: number): void } | undefined;
  /** Of the middleware compression. */
  flush?(): void;
}

/** True where nobody can be answered any more. */
export function isGone(response: StreamResponse): boolean {
  return response.writableEnded || response.destroyed === true || response.stream?.destroyed === true;
}

/** True where a response that is closed has got all to its client. HTTP/2 calls one finished whose client has left. */
export function isComplete(response: StreamResponse): boolean {
  return response.writableEnded && response.writableFinished;
}

/** What the application's CORS middleware has allowed this very page: its answer may be read there, with the cookie. */
export function corsOf(request: IncomingMessage, response: StreamResponse): CorsOptions | undefined {
  if (request.headers.origin === undefined) return undefined;
  if (response.getHeader("Access-Control-Allow-Credentials") !== "true") return undefined;
  return { origin: response.getHeader("Access-Control-Allow-Origin"), credentials: true };
}

/** HTTP/2's INTERNAL_ERROR: a client takes the answer for a cut one. */
const internalError = 2;

/** Cuts an answer off, so that its client can tell it from a complete one. */
export function cut(response: StreamResponse): void {
  if (response.stream) response.stream.close(internalError);
  else response.destroy();
}

/**
 * Ends a response while express-session sees no session, and so saves and touches none: its session has ended, or its
 * store does not answer, for which it would wait.
 */
export function endUnsaved(request: object, response: StreamResponse, body?: string): void {
  const held = request as { session?: unknown; sessionID?: unknown };
  const { session, sessionID } = held;
  const isHeld = "session" in held;
  // Without an id it destroys nothing, whatever its option `unset` says.
  if (isHeld) held.session = held.sessionID = undefined;
  try {
    response.end(body);
  } finally {
    if (isHeld) Object.assign(held, { session, sessionID });
  }
}

const silenced =
  "setHeader setHeaders appendHeader removeHeader writeHead flushHeaders addTrailers writeContinue writeProcessing writeEarlyHints end";

/** Lets what the application still does with an answer that is over go nowhere: to write then would be an error. */
export function silence(response: StreamResponse): void {
  for (const name of silenced.split(" ")) if (name in response) setHidden(response, name, returnThis);
  setHidden(response, "write", returnTrue);
}

function returnThis(this: unknown, ...values: unknown[]): unknown {
  callBack(values);
  return this;
}

/** A source that is piped here goes on to its end. */
function returnTrue(...values: unknown[]): true {
  callBack(values);
  return true;
}

/** Lets who waits for a call that is not done go on: it would wait for ever. */
function callBack(values: unknown[]): void {
  const callback = values.at(-1);
  if (typeof callback === "function") process.nextTick(callback);
}

type Method = "writeHead" | "flushHeaders" | "write" | "end";
type Methods = { readonly [Name in Method | "on"]: (...values: unknown[]) => unknown };

/** What the application does with a response that may not be sent yet. */
export class HeldResponse {
  readonly #response: StreamResponse;
  readonly #calls: { readonly name: Method; readonly values: unknown[] }[] = [];
  readonly #restores: (() => void)[];
  readonly #headers: object;
  readonly #status: number;
  /** Who waits for "drain": compression moves them away, so that nobody else could tell them. */
  #draining: ((...values: unknown[]) => void)[] = [];
  #bytes = 0;
  #isHeld = true;

  /** `overflow` is called where more than `limit` bytes would be held. */
  constructor(response: StreamResponse, limit: number, overflow: () => void) {
    this.#response = response;
    this.#headers = response.getHeaders();
    this.#status = response.statusCode;
    const { writeHead, flushHeaders, write, end, on } = response as unknown as Methods;
    const hold = (name: Method, method: (...values: unknown[]) => unknown, answer: unknown): (() => void) =>
      replaceMethod(response, name, (...values: unknown[]) => {
        if (!this.#isHeld) return method.apply(response, values);
        if (this.#bytes > limit) {
          overflow();
          callBack(values);
        } else {
          this.#bytes += lengthOf(values[0]);
          this.#calls.push({ name, values });
        }
        return answer;
      });
    this.#restores = [
      hold("writeHead", writeHead, response),
      hold("flushHeaders", flushHeaders, undefined),
      hold("write", write, false),
      hold("end", end, response),
      replaceMethod(response, "on", (...values: [string, () => void]) => {
        if (this.#isHeld && values[0] === "drain") this.#draining.push(values[1]);
        return on.apply(response, values);
      }),
    ];
  }

  /** True where the application has begun its answer. */
  get hasBegun(): boolean {
    return this.#calls.length > 0;
  }

  /** True where it has ended it. */
  get hasEnded(): boolean {
    return this.#calls.some(({ name }) => name === "end");
  }

  /** Does what was held. What a call throws, whose caller is gone, goes to `onError`. */
  release(onError: (error: unknown) => void): void {
    this.#restore();
    let isDrained = false;
    for (const { name, values } of this.#calls) {
      try {
        const answer = (this.#response as unknown as Methods)[name](...values);
        if (name === "write") isDrained = answer === true;
      } catch (error) {
        onError(error);
      }
    }
    if (isDrained) for (const drained of this.#draining) safely(() => drained.call(this.#response));
  }

  /** Drops what was held, and the headers that were set meanwhile. */
  drop(): void {
    this.#restore();
    for (const { values } of this.#calls) callBack(values);
    const response = this.#response;
    if (response.headersSent) return;
    response.statusCode = this.#status;
    for (const name of Object.keys(response.getHeaders())) response.removeHeader(name);
    for (const [name, value] of Object.entries(this.#headers)) response.setHeader(name, value as never);
  }

  #restore(): void {
    this.#isHeld = false;
    // The latest first, as each restores what was there before it.
    for (const restore of this.#restores.toReversed()) restore();
  }
}

function lengthOf(chunk: unknown): number {
  if (typeof chunk === "string") return Buffer.byteLength(chunk);
  return ArrayBuffer.isView(chunk) ? chunk.byteLength : 0;
}
