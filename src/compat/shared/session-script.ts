// The client script of socket.io-sessions: its text, and how it is served so that only pages of its own origin get it.
// Does not know what a ticket holds.
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { refusedOrigin } from "../../handshake/origin.js";
import type { ProxyTrust } from "../../handshake/proxy-trust.js";

/** What one browser's script says. */
export interface Personal {
  /** The ticket for the browser's session; undefined where it has none. */
  readonly ticket: string | undefined;
  /** The ETag: any text without quotes that changes with the session, and before the ticket runs out. */
  readonly tag: string;
}

/** Makes what a browser's script says. */
interface Personalizer {
  /** Whose X-Forwarded headers count. */
  readonly trust: ProxyTrust;
  personal(request: IncomingMessage): Promise<Personal>;
}

/** After how long pages and caches ask for another ticket (ms). */
export const renewAfter = 5 * 60_000;
const name = "/socket.io-sessions.js";
const rules = { origins: [], requireOrigin: false };

/** True where a request comes from a page of another origin, as far as its headers tell. */
export async function isForeign(request: IncomingMessage, trust: ProxyTrust): Promise<boolean> {
  return (await refusedOrigin(request, rules, trust, undefined)) !== undefined;
}

/**
 * Serves the script below `path()`, before the application and Socket.IO see the request. All else goes on to them. It stands in
 * `emit`, not among the listeners: an application that starts to listen later would answer the same request.
 */
export function serveScript(http: HttpServer, path: () => string, personalizer: Personalizer): void {
  const emit = http.emit as (event: string, ...values: unknown[]) => boolean;
  http.emit = (event: string, ...values: unknown[]): boolean => {
    if (event !== "request") return emit.call(http, event, ...values);
    const [request, response] = values as [IncomingMessage, ServerResponse];
    const isScript = request.url?.split("?", 1)[0] === path() + name;
    if (!isScript || (request.method !== "GET" && request.method !== "HEAD")) return emit.call(http, event, ...values);
    answer(request, response, personalizer).catch(() => {
      if (response.headersSent) response.destroy();
      else response.writeHead(500).end();
    });
    return true;
  };
}

async function answer(request: IncomingMessage, response: ServerResponse, personalizer: Personalizer): Promise<void> {
  const headers = {
    "Cache-Control": "private, no-cache",
    Vary: "Cookie",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
  };
  const personal = (await isForeign(request, personalizer.trust)) ? undefined : await personalizer.personal(request);
  // Whoever stands before this in the same way may have answered meanwhile.
  if (response.headersSent) return;
  if (!personal) {
    response.writeHead(403, { ...headers, "Content-Type": "text/plain" }).end("ORIGIN_REFUSED\n");
    return;
  }
  const { ticket, tag } = personal;
  const etag = `"${tag}"`;
  if (isKnown(request, etag)) {
    response.writeHead(304, { ...headers, ETag: etag }).end();
    return;
  }
  response.writeHead(200, { ...headers, ETag: etag, "Content-Type": "text/javascript; charset=utf-8" });
  response.end(request.method === "HEAD" ? undefined : textOf(ticket));
}

/** Proxies that compress make an ETag a weak one. */
function isKnown(request: IncomingMessage, etag: string): boolean {
  const known = request.headers["if-none-match"]?.split(",").map((one) => one.trim().replace(/^W\//, ""));
  return known?.includes(etag) === true;
}

function textOf(ticket: string | undefined): string {
  return `${script}(${JSON.stringify(ticket ?? null)}, ${renewAfter});\n`;
}

// In the JavaScript of the browsers that Socket.IO 0.9 is for. Uses nothing but `io` where there is no document.
const script = `(function (ticket, renewAfter) {
  // Loaded again, for the ticket alone.
  if (io.takeSessionTicket) return io.takeSessionTicket(ticket);

  var element = typeof document === "undefined" ? null : document.currentScript;
  var source = element && element.src.replace(/[?#].*$/, "");
  var nonce = element && element.nonce;
  var path = source && source.replace(/^\\w+:\\/\\/[^\\/]*/, "").replace(/\\/[^\\/]*$/, "");
  var since = new Date().getTime();
  var waiting = [];
  var timer;

  // A machine that slept has missed its renewals; one whose clock was set back cannot tell.
  function isFresh() {
    var age = new Date().getTime() - since;
    return !source || (age >= 0 && age < renewAfter);
  }

  // Loads this script once more, past all caches; goes on with the ticket there is when that fails.
  function renew(done) {
    if (waiting.push(done) > 1) return;
    var again = document.createElement("script");
    io.takeSessionTicket = function (renewed) {
      ticket = renewed;
      since = new Date().getTime();
    };
    again.onload = again.onerror = function () {
      delete io.takeSessionTicket;
      again.parentNode.removeChild(again);
      for (var callbacks = waiting.splice(0); callbacks.length > 0; ) callbacks.shift()();
    };
    again.src = source + "?" + new Date().getTime();
    if (nonce) again.nonce = nonce;
    document.getElementsByTagName("head")[0].appendChild(again);
  }

  // The server is where the script comes from, unless the page says otherwise.
  function connect(uri, options) {
    if (!path) return io.connect.apply(io, arguments);
    if (typeof uri === "object") {
      options = uri;
      uri = undefined;
    }
    var all = { path: path, resource: path.slice(1) };
    for (var key in options) all[key] = options[key];
    return io.connect(uri, all);
  }

  io.connectWithSession = function () {
    var socket = connect.apply(null, arguments);
    var isTold;
    function tell() {
      isTold = true;
      socket.emit("connect_with_session", { __sid: ticket });
    }
    // At once, so that it comes before all that the page sends: that waits in order for the connection.
    function tellFirst() {
      isTold = false;
      if (isFresh()) tell();
    }
    tellFirst();
    socket.on("disconnect", tellFirst);
    socket.on("connect", function () {
      if (!isFresh()) renew(tell);
      else if (!isTold) tell();
    });
    if (source && !timer) timer = setInterval(renew, renewAfter, function () {});
    return socket;
  };
  io.SessionSocket = function () {
    return io.connectWithSession.apply(io, arguments);
  };
})`;
