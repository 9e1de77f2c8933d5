// Where an application of a test listens: it is started where it does not yet, and stopped again by whom it was started
// for. Knows no client.
import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, Server, type ServerResponse } from "node:http";
import { invalid, shown } from "../internal/check-options.js";

/**
 * What a test client can talk to: a Node server, which need not listen, a function for requests such as an Express
 * application, or the address of something that runs.
 */
export type Testable =
  | { listen(...values: never[]): unknown; address(): unknown; readonly listening: boolean }
  | ((request: IncomingMessage, response: ServerResponse) => unknown)
  | URL
  | string;

/** An application that somebody uses. */
export interface ServedApp {
  /** Without a slash at its end. */
  readonly url: string;
  /** It is not used any more. */
  release(): void;
}

interface Running {
  readonly server: Server;
  users: number;
  /** True where it was started here. */
  isOurs: boolean;
}

const running = new WeakMap<object, Running>();

/** @throws SessionError `OPTION_INVALID` for what no test client can talk to */
export function checkTestable(app: unknown): void {
  const isAddress = typeof app === "string" || app instanceof URL;
  const isKnown = isAddress
    ? URL.canParse(String(app)) && /^https?:$/.test(new URL(app).protocol)
    : typeof app === "function" || isServer(app);
  if (isKnown) return;
  const detail = `A test client needs an Express application, Node's HTTP server, or an address such as "http://localhost:3000", not ${shown(app)}.`;
  throw invalid(detail);
}

/** Makes sure that an application listens. */
export async function serve(app: Testable): Promise<ServedApp> {
  if (typeof app === "string" || app instanceof URL) {
    return { url: String(new URL(app)).replace(/\/$/, ""), release: () => undefined };
  }
  const one = running.get(app) ?? {
    server: isServer(app) ? app : createServer(app as RequestListener),
    users: 0,
    isOurs: false,
  };
  running.set(app, one);
  one.users++;
  const { server } = one;
  if (!server.listening) {
    if (!one.isOurs) server.listen(0, "127.0.0.1");
    one.isOurs = true;
    await once(server, "listening");
  }
  return { url: urlOf(server), release: () => release(one) };
}

function release(one: Running): void {
  one.users--;
  if (one.users > 0 || !one.isOurs) return;
  one.isOurs = false;
  const { server } = one;
  server.close();
  server.closeAllConnections();
}

/** An Express application has a `listen()`, too; only a server says whether it listens. */
function isServer(app: unknown): app is Server {
  return app instanceof Server || typeof (app as Partial<Server> | null | undefined)?.listening === "boolean";
}

function urlOf(server: Server): string {
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new TypeError("The server listens on no port.");
  const isSecure = "setSecureContext" in server;
  // Of "any address" there is this one.
  const { address: host, family, port } = address;
  const isAny = host === "::" || host === "0.0.0.0";
  const name = isAny ? "127.0.0.1" : family === "IPv6" ? `[${host}]` : host;
  return `http${isSecure ? "s" : ""}://${name}:${port}`;
}
