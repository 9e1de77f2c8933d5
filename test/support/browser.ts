// A client as a browser is one: a cookie jar, HTTP requests and Socket.IO sockets that send its cookies.
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";

export type Transport = "polling" | "websocket" | "upgrade";
export const transports: readonly Transport[] = ["polling", "websocket", "upgrade"];

export interface Refused {
  code: string;
  retry: boolean;
}

export class Browser {
  readonly url: string;
  readonly cookies = new Map<string, string>();
  readonly sockets: Socket[] = [];

  constructor(url: string) {
    this.url = url;
  }

  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** The id of its session, out of the cookie. */
  get sessionId(): string {
    const [id = ""] = decodeURIComponent(this.cookies.get("connect.sid") ?? "")
      .slice(2)
      .split(".");
    return id;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.cookies.size > 0 && !headers.has("cookie")) headers.set("cookie", this.cookie);
    const response = await fetch(this.url + path, { redirect: "manual", ...init, headers });
    for (const line of response.headers.getSetCookie()) this.take(line);
    // express-session sends the headers before it has saved, and the last byte after.
    await response.clone().text();
    return response;
  }

  /** Keeps what a Set-Cookie header says. */
  take(line: string): void {
    const [pair = ""] = line.split(";");
    const at = pair.indexOf("=");
    this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
  }

  async get<T = Record<string, unknown>>(path: string): Promise<T> {
    return (await (await this.fetch(path)).json()) as T;
  }

  post(path: string, body: object = {}): Promise<Response> {
    return this.fetch(path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
  }

  /** A socket with this browser's cookies, not connected yet. */
  socket(namespace = "/", options: Partial<ManagerOptions & SocketOptions> & { via?: Transport } = {}): Socket {
    const { via = "websocket", extraHeaders, ...rest } = options;
    const socket = io(this.url + namespace, {
      forceNew: true,
      reconnection: false,
      autoConnect: false,
      transports: via === "upgrade" ? ["polling", "websocket"] : [via],
      extraHeaders: { ...(this.cookies.size > 0 && { cookie: this.cookie }), ...extraHeaders },
      ...rest,
    });
    this.sockets.push(socket);
    return socket;
  }

  /** A connected socket; with `via: "upgrade"` one that has been upgraded. */
  async connect(
    namespace = "/",
    options: Partial<ManagerOptions & SocketOptions> & { via?: Transport } = {},
  ): Promise<Socket> {
    const socket = this.socket(namespace, options);
    await connected(socket);
    if (options.via === "upgrade" && socket.io.engine.transport.name !== "websocket") {
      await new Promise((resolve, reject) => {
        socket.io.engine.once("upgrade", resolve);
        socket.once("disconnect", (reason) => reject(new Error(reason)));
      });
    }
    return socket;
  }

  /** Why a socket is refused. Fails if it is not. */
  async refused(
    namespace = "/",
    options: Partial<ManagerOptions & SocketOptions> & { via?: Transport } = {},
  ): Promise<Refused> {
    const socket = this.socket(namespace, options);
    const error = await new Promise<Error & { data?: Refused }>((resolve, reject) => {
      socket.once("connect_error", resolve);
      socket.once("connect", () => reject(new Error("connected, but should be refused")));
      socket.connect();
    });
    if (!error.data) throw error;
    return error.data;
  }

  close(): void {
    for (const socket of this.sockets) socket.disconnect();
  }
}

/** Connects a socket, or rejects with what refused it. */
export async function connected(socket: Socket): Promise<Socket> {
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("connect_error", reject);
    // A transport that closes before the server has answered (a rotated id, say) is neither.
    socket.once("disconnect", (reason) => reject(new Error(reason)));
    socket.connect();
  });
  return socket;
}

/** The next event with this name: its first value. */
export function next<T>(socket: Socket, event: string): Promise<T> {
  return new Promise((resolve) => socket.once(event, resolve));
}

/** How a socket is closed: the codes it is told before, and the reason. */
export async function closed(socket: Socket): Promise<{ told: Refused[]; reason: string }> {
  const told: Refused[] = [];
  socket.on("session:end", (end: Refused) => told.push({ code: end.code, retry: end.retry }));
  const reason = await next<string>(socket, "disconnect");
  return { told, reason };
}
