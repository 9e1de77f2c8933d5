// Asks a server as a browser does: pages, routes, and the handshake of Socket.IO by polling. What the cookie holds is
// sent back to the server and goes nowhere else.
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { checkHeader } from "../internal/check-origin.js";

/** How long a server may take to answer, in ms. */
export const patience = 10_000;

/** What a server answered. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The text as a JSON object; empty where it is none. */
  readonly json: Readonly<Record<string, unknown>>;
}

/** How a CONNECT ended: let in, or refused with a code; `undefined` where something else answered. */
export type Connected =
  | { readonly isIn: true; readonly opened: Answer }
  | { readonly isIn: false; readonly code: string | undefined; readonly opened: Answer };

/** The headers of a page's request: of one of this server, of another one, or of no page at all. */
export type Sender = { readonly origin?: string; readonly "sec-fetch-site"?: string };

/** A browser that visits one server, with the session's cookie once it has got it. */
export class Visitor {
  readonly origin: string;
  /** The Set-Cookie header that brought it. */
  setCookie: string | undefined;
  readonly #cookieName: string;

  constructor(origin: string, cookieName: string) {
    this.origin = origin;
    this.#cookieName = cookieName;
  }

  /** Asks for a path. Rejects where nobody answers. */
  async ask(path: string, sender: Sender = {}, body?: string): Promise<Answer> {
    const response = await fetch(new URL(path, this.origin), {
      method: body === undefined ? "GET" : "POST",
      headers: this.#headers(sender),
      redirect: "manual",
      signal: AbortSignal.timeout(patience),
      ...(body !== undefined && { body }),
    });
    const { status, headers } = response;
    this.setCookie ??= this.#sessionCookie(headers.getSetCookie());
    const text = await response.text();
    return { status, headers, text, json: objectOf(text) };
  }

  #headers(sender: Sender): Record<string, string> {
    const [cookie] = this.setCookie?.split(";", 1) ?? [];
    return { accept: "*/*", [checkHeader]: "1", ...sender, ...(cookie !== undefined && { cookie }) };
  }

  /** The one of the session's name, else a signed one: those begin with "s:". */
  #sessionCookie(lines: readonly string[]): string | undefined {
    const named = lines.find((line) => line.startsWith(`${this.#cookieName}=`));
    return named ?? lines.find((line) => /^[^=]+=s(?::|%3A)/i.test(line));
  }

  /** Opens a Socket.IO connection by polling, and joins the main namespace. */
  async connect(path: string, sender: Sender): Promise<Connected> {
    const opened = await this.ask(`${path}?EIO=4&transport=polling`, sender);
    const { sid } = opened.text.startsWith("0{") ? objectOf(opened.text.slice(1)) : {};
    if (opened.status !== 200 || typeof sid !== "string") return { isIn: false, code: undefined, opened };
    const address = `${path}?EIO=4&transport=polling&sid=${encodeURIComponent(sid)}`;
    await this.ask(address, sender, "40");
    const packets = (await this.ask(address, sender)).text.split("\u001e");
    void this.ask(address, sender, "1").catch(() => undefined);
    if (packets.some((packet) => packet.startsWith("40"))) return { isIn: true, opened };
    const refusal = packets.find((packet) => packet.startsWith("44"));
    const { data } = objectOf(refusal?.slice(2) ?? "") as { data?: { code?: unknown } };
    return { isIn: false, code: typeof data?.code === "string" ? data.code : "(none)", opened };
  }

  /** Whether a request for a WebSocket comes through: the status of the answer, 0 where none comes. */
  upgrade(path: string, sender: Sender): Promise<number> {
    const url = new URL(`${path}?EIO=4&transport=websocket`, this.origin);
    const headers = {
      ...this.#headers(sender),
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": Buffer.from("socket-session--").toString("base64"),
    };
    return new Promise((resolve, reject) => {
      const request = (url.protocol === "https:" ? requestHttps : requestHttp)(url, { headers, timeout: patience });
      request.on("upgrade", (_, socket) => {
        socket.destroy();
        resolve(101);
      });
      request.on("response", (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.on("timeout", () => {
        resolve(0);
        request.destroy();
      });
      request.on("error", reject);
      request.end();
    });
  }
}

function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
