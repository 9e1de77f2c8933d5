// Where an application of a test listens: it is started where it does not yet, and stopped again by whom it was started
// for. Knows no client.
import { once } from "node:events";
import { createServer, type IncomingMessage, Server, type ServerResponse } from "node:http";

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

/** Makes sure that an application listens. @throws TypeError for what is none */
export async function serve(app: Testable): Promise<ServedApp> {
  if (typeof app === "string" || app instanceof URL) {
    return { url: String(new URL(app)).replace(/\/$/, ""), release: () => undefined };
  }
  if (typeof app !== "function" && !isServer(app)) {
    throw new TypeError("A test client needs an Express application, a Node server, or the address of one that runs.");
  }
  const one = running.get(app) ?? { server: isServer(app) ? app : createServer(app), users: 0, isOurs: false };
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
function isServer(app: Exclude<Testable, string | URL>): app is Server {
  return app instanceof Server || typeof (app as Partial<Server>).listening === "boolean";
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
