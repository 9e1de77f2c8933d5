// A client of streamed answers as a browser's EventSource is one, but on the wire: it sees statuses, headers, comments
// and cut answers, and does not come back.
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { Browser } from "./browser.js";

export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  readonly id: string;
}

export interface ClientStream {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly events: StreamEvent[];
  readonly comments: string[];
  /** All that came, as text. */
  readonly text: () => string;
  /** The JSON data of the next event of that name that was not asked for yet. */
  next<T = unknown>(event: string): Promise<T>;
  /** Resolves when the answer is over: complete, or cut. */
  readonly over: Promise<"complete" | "cut">;
  readonly response: IncomingMessage;
  close(): void;
}

export interface StreamRequest {
  readonly headers?: Record<string, string>;
  readonly method?: string;
  /** False where the client does not read. */
  readonly reads?: boolean;
  /** Aborted when the client leaves. */
  readonly signal?: AbortSignal;
}

/** What an EventSource sends. */
export const eventSource = { accept: "text/event-stream", "sec-fetch-site": "same-origin" };

/** Asks for a stream with the browser's cookies; resolves with the answer's head. */
export async function openStream(browser: Browser, path = "/events", asked: StreamRequest = {}): Promise<ClientStream> {
  const [response, client] = await new Promise<[IncomingMessage, ClientRequest]>((resolve, reject) => {
    const { method = "GET", headers = eventSource, signal } = asked;
    const cookie = browser.cookies.size > 0 ? { cookie: browser.cookie } : {};
    const sent = request(browser.url + path, {
      agent: false,
      method,
      headers: { ...cookie, ...headers },
      ...(signal && { signal }),
    });
    sent.on("response", (got) => resolve([got, sent])).on("error", reject);
    sent.end();
  });
  for (const line of response.headers["set-cookie"] ?? []) browser.take(line);
  return streamOf(response, () => client.destroy(), asked.reads);
}

/** Reads an answer as a stream of events. */
export function streamOf(response: IncomingMessage, close: () => void, reads = true): ClientStream {
  const events: StreamEvent[] = [];
  const comments: string[] = [];
  let text = "";
  const taken = new Map<string, number>();
  const waiting = new Set<() => void>();
  const parser = new EventParser(
    (event) => events.push(event),
    (comment) => comments.push(comment),
  );
  const wake = (): void => {
    for (const one of waiting) one();
  };
  if (reads) {
    response.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      parser.take(chunk);
      wake();
    });
  }
  const over = new Promise<"complete" | "cut">((resolve) => {
    response.on("error", () => undefined);
    response.on("close", () => {
      resolve(response.complete ? "complete" : "cut");
      wake();
    });
  });
  let isOver = false;
  void over.then(() => {
    isOver = true;
    wake();
  });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    events,
    comments,
    text: () => text,
    over,
    response,
    close,
    next: <T>(name: string) =>
      new Promise<T>((resolve, reject) => {
        const at = taken.get(name) ?? 0;
        taken.set(name, at + 1);
        const look = (): void => {
          const found = events.filter(({ event }) => event === name)[at];
          if (!found && !isOver) return;
          waiting.delete(look);
          if (found) resolve(JSON.parse(found.data) as T);
          else reject(new Error(`the stream is over without ${name}`));
        };
        waiting.add(look);
        look();
      }),
  };
}

/** The parser of https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation */
export class EventParser {
  readonly #onEvent: (event: StreamEvent) => void;
  readonly #onComment: (comment: string) => void;
  #rest = "";
  #event = "";
  #data: string[] = [];
  #id = "";

  constructor(onEvent: (event: StreamEvent) => void, onComment: (comment: string) => void) {
    this.#onEvent = onEvent;
    this.#onComment = onComment;
  }

  take(chunk: string): void {
    const text = this.#rest + chunk;
    // The LF of a CRLF may come with the next chunk.
    const lines = text.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    if (line === "") {
      if (this.#data.length > 0)
        this.#onEvent({ event: this.#event || "message", data: this.#data.join("\n"), id: this.#id });
      this.#event = "";
      this.#data = [];
      return;
    }
    const at = line.indexOf(":");
    const field = at === -1 ? line : line.slice(0, at);
    const value = at === -1 ? "" : line.slice(at + 1).replace(/^ /, "");
    if (field === "") this.#onComment(value);
    else if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
  }
}
