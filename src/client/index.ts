/**
 * The page's half of a live session, around the application's Socket.IO client or EventSource. It tells the page about
 * the session's view, expiry and end, reconnects where that can help, and keeps the cookie alive. Imports nothing of the
 * server.
 *
 * @module socket-session/client
 */
import { here } from "./browser.js";
import type { ClientEvents, ClientOptions, ClientSession } from "./client-session.js";
import { asSocket, type ClientEventSource } from "./event-source.js";
import { createExpiry } from "./expiry.js";
import type { ClientCode, ClientSocket, SessionView, CloseReason } from "./protocol.js";
import { createRenewal } from "./renewal.js";
import { type Answer, ask } from "./routes.js";
import { type Message, openTabs } from "./tabs.js";

export type { ClientEvents, ClientOptions, ClientSession } from "./client-session.js";
export type { ClientEventSource } from "./event-source.js";
export type { ClientCode, ClientSocket } from "./protocol.js";
export { shouldRetry } from "./should-retry.js";

/**
 * Gives a page its session. Call it right after `io()`, before the socket connects, or with the `EventSource` of a route
 * that uses `sessions.stream()`.
 *
 * @throws TypeError with the code `OPTION_INVALID`
 * @example
 * ```ts
 * import { io } from "socket.io-client";
 *
 * const socket = io();
 * const session = withSession<{ name: string }>(socket);
 * session.on("change", ({ name }) => (title.textContent = name));
 * session.on("end", ({ code }) => location.assign(`/login?reason=${code}`));
 * ```
 */
export function withSession<View = unknown>(
  given: ClientSocket | ClientEventSource,
  options: ClientOptions = {},
): ClientSession<View> {
  const { url = "/session", warnBefore = 60_000, ticket, ...others } = options;
  const socket = (given as ClientEventSource | undefined)?.url
    ? asSocket(given as ClientEventSource)
    : (given as ClientSocket);
  // The function io() has the field `io`, too.
  refuse(
    !socket?.onAnyOutgoing
      ? "socket: give what io() returns"
      : // The address alone, say.
        Object(options) !== options
        ? "options"
        : typeof url !== "string"
          ? "url"
          : warnBefore >= 0
            ? Object.keys(others)[0]
            : "warnBefore",
  );
  const name = `socket-session ${url}`;
  const listeners: { [Event in keyof ClientEvents<View>]?: Set<(value: never) => void> } = {};
  /** When the client began to wait for a new cookie or a good ticket, in ms of `performance`; 0 otherwise. */
  let waitingSince = 0;
  let attempts = 0;
  let isClosed: boolean | undefined;
  /** True until the server shows the next session: at the start, after a rotation or an end, and for a guest. */
  let isNew = true;
  /** The server has connected the socket without a session. */
  let isGuest = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let renewing: Promise<Answer> | undefined;
  /** The routes are elsewhere, or not for this page: asking again is no use. */
  let isRefused: boolean | undefined;
  let isTold: unknown;

  const session = {
    on(event: keyof ClientEvents<View>, listener: (value: never) => void) {
      refuse(!/^(end|change|expiring|renewed)$/.test(event) ? `event: ${event}` : !listener?.call && "listener");
      (listeners[event] ??= new Set()).add(listener);
      return session;
    },
    off(event: keyof ClientEvents<View>, listener: (value: never) => void) {
      listeners[event]?.delete(listener);
      return session;
    },
    renew,
    close() {
      for (const event in handlers) socket.off(event as never, handlers[event] as never);
      socket.offAnyOutgoing(renewal.onActivity as never);
      for (const event of inputs) here.removeEventListener?.(event, renewal.onActivity, true);
      if (connect) socket.connect = connect;
      tabs = tabs?.close() as undefined;
      stopTimers();
      isClosed = true;
    },
  } as unknown as { -readonly [Key in keyof ClientSession<View>]: ClientSession<View>[Key] };
  const emit = <Event extends keyof ClientEvents<View>>(event: Event, value: ClientEvents<View>[Event]): void =>
    // An async function turns what a listener throws into a rejection: the other listeners run, and so does the client.
    // oxlint-disable-next-line typescript/no-misused-promises -- nobody waits for it
    listeners[event]?.forEach(async (listener) => listener(value as never));

  let tabs = openTabs(name, onTabMessage);
  const tellTabs = (message: Message): void => tabs?.postMessage(message);
  const renewal = createRenewal(name, renew);
  const expiry = createExpiry(warnBefore, (expiresIn) => emit("expiring", (session.expiring = { expiresIn })));

  function stopTimers(): void {
    clearTimeout(timer);
    timer = undefined;
    renewal.stop();
    expiry(null);
  }

  // --- the end, and the way back ---

  /** The server has refused the handshake or ended the session. */
  function onClose({ code, retry }: CloseReason): void {
    const now = performance.now();
    if (code === "SESSION_ROTATED") {
      isNew = true;
      renewal.onRenewal();
    }
    // While the store does not answer, nobody can tell whether the cookie is the new one: that time does not count.
    if (code === "STORE_UNAVAILABLE") waitingSince &&= now;
    else {
      // The browser may have the cookie of a new session before the store has the session.
      const mayReturn = retry || (waitingSince && code === "SESSION_UNKNOWN");
      // The client gives up after half a minute.
      if (!mayReturn || now - (waitingSince ||= now) > 30_000) return end(code as ClientCode);
    }
    timer ??= setTimeout(
      () => {
        timer = undefined;
        // Does nothing while Socket.IO reconnects by itself. While Socket.IO's CONNECT waits for an answer, connect()
        // would send a second one, and the server would have two sockets.
        // Not the page's own call: what the page has emitted since that one is the next session's.
        if (!(socket.active && socket.io.engine.readyState === "open")) connect?.call(socket);
      },
      Math.min(100 * 2 ** attempts++, 2500) * (1 + Math.random()),
    );
  }

  /** Drops what this user has not sent yet: the next user of the page must not send it. */
  function clearOutbox(): void {
    socket.sendBuffer = [];
    // Private to Socket.IO, 4.6 to 4.8: what its option `retries` keeps until the server acknowledges it.
    (socket as { _queue?: unknown[] })._queue = [];
  }

  function end(code: ClientCode): void {
    if (session.ended) return;
    stopTimers();
    session.ended = code;
    session.view = session.expiring = undefined;
    isNew = true;
    clearOutbox();
    // Stops Socket.IO's reconnection where the server did not disconnect the socket.
    if (!socket.connected) socket.disconnect();
    // These end this connection alone: the session goes on in the other tabs, which may be elsewhere.
    if (code !== "LIMIT_REACHED" && code !== "SESSION_FORBIDDEN") tellTabs({ end: code });
    emit("end", { code });
  }

  // What a page emits after the end waits as well, and Socket.IO sends it before its event "connect".
  const { connect } = socket;
  if (connect)
    socket.connect = () => {
      if (session.ended && !socket.active) clearOutbox();
      return connect.call(socket);
    };

  // --- the view and the expiry ---

  function setExpiry(expiresIn: number | null, isRenewal: unknown = session.expiring): void {
    if (isClosed) return;
    session.expiring = undefined;
    if (isRenewal) emit("renewed", { expiresIn });
    if (!isRefused) renewal.setExpiry(expiresIn);
    expiry(expiresIn);
  }

  function onView({ view, expiresIn = null, hasView }: SessionView): void {
    // A listener without a parameter, such as useSession()'s, may do without.
    if (hasView === false && !isTold && [...(listeners.change ?? [])].some(({ length }) => length))
      // oxlint-disable-next-line no-console -- the page's developer has no other place to look
      console.warn((isTold = "socket-session: no view: createSessions({ view })"));
    // The server has let the socket in without a session: it has no view, and nothing ends it.
    isGuest = view === null && expiresIn === null;
    if (isNew) {
      // The new session may be shorter than the one before.
      renewal.stop();
      if (!isGuest) tellTabs({ login: true });
    }
    isNew = isGuest;
    const isOther = JSON.stringify(view) !== JSON.stringify(session.view);
    setExpiry(expiresIn);
    session.view = view as View;
    if (isOther) emit("change", view as View);
  }

  async function renew(): Promise<boolean> {
    const { code, retry, expiresIn, isNowhere } = await (renewing = ask(`${url}/renew`));
    if (expiresIn === undefined) {
      // A page that the routes are not for may have a healthy socket all the same: only its cookie gets old.
      if (isNowhere || code === "ORIGIN_REFUSED") {
        if (!isRefused)
          // oxlint-disable-next-line no-console -- the page's developer has no other place to look
          console.warn(`socket-session: no renewals, ${url} ${code ?? "is not there: mount sessions.routes"}`);
        isRefused = true;
        renewal.stop();
      }
      // Outside of a browser fetch() may not have the cookie that the socket has.
      else if (code && !retry && !waitingSince && !isClosed && here.location) {
        end(code);
        socket.disconnect();
      }
      return false;
    }
    tellTabs({ renewed: expiresIn });
    onRenewed(expiresIn);
    return true;
  }

  function onRenewed(expiresIn: number | null): void {
    renewal.onRenewal();
    setExpiry(expiresIn, true);
  }

  function onTabMessage(message: Message): void {
    if ("renewed" in message) {
      if (!session.ended) onRenewed(message.renewed);
    } else if (message.login) {
      if (socket.connect && (session.ended ? !socket.active : isGuest)) {
        socket.disconnect();
        socket.connect();
      }
    } else if (socket.connected) {
      // The server tells each connected tab itself. If it does not, the other tab spoke of an earlier session: tell it.
      setTimeout(() => socket.connected && !isNew && tellTabs({ login: true }), 1000);
    } else if (socket.active || timer) end(message.end);
  }

  // --- the handshake ---

  const ownAuth = socket.auth as Record<string, unknown> | ((done: (data: object) => unknown) => void) | undefined;

  async function authenticate(data: object, done: (data: object) => void): Promise<void> {
    const { engine } = socket.io;
    const answer = ticket && (await ask(`${url}/ticket`));
    // Socket.IO has opened another connection meanwhile, which asks for a ticket of its own.
    if (engine !== socket.io.engine) return;
    if (!answer || answer.ticket)
      return done({ ...data, session: { v: 1, ticket: (answer as Answer | undefined)?.ticket } });
    socket.disconnect();
    onClose({ code: "STORE_UNAVAILABLE", retry: true, ...answer });
  }

  const auth =
    typeof ownAuth === "function" ? ownAuth : ticket && ((done: (data: object) => unknown) => done(ownAuth as object));
  socket.auth = auth
    ? (done: (data: object) => void) => auth((data) => authenticate(data, done))
    : // The application may hold this object and change it later.
      Object.assign(ownAuth ?? {}, { session: { v: 1 } });

  // --- the socket's events ---

  const handlers: { readonly [event in string]: (value: never) => void } = {
    connect() {
      clearTimeout(timer);
      timer = session.ended = undefined;
      waitingSince = attempts = 0;
    },
    disconnect() {
      isGuest = false;
      if (session.ended) socket.disconnect();
      // The server answers a handshake with the old cookie by closing the transport.
      else if (waitingSince) onClose({ code: "SESSION_ROTATED", retry: true });
    },
    connect_error({ data }: { data?: CloseReason }) {
      // Any other error is the network's or the application's own.
      if (/^(SESSION|STORE|ORIGIN|TICKET|LIMIT)_/.test(data?.code as string)) onClose(data as CloseReason);
    },
    "session:end": onClose,
    "session:view": onView,
    async "session:collect"(order: { ticket: string }) {
      renewal.onRenewal();
      // The answer to a renewal carries the old cookie: it must not arrive after the new one.
      await renewing;
      if ((await ask(`${url}/collect`, order)).expiresIn !== undefined) isNew = true;
      // The server knows by itself whether the page has collected the cookie.
      socket.emit("session:collected" as never);
    },
  };
  for (const event in handlers) socket.on(event as never, handlers[event] as never);

  // Activity is what the page sends, as on the server, and what the user does on the page.
  const inputs = ["pointerdown", "keydown", "wheel"];
  socket.onAnyOutgoing(renewal.onActivity as never);
  for (const event of inputs) here.addEventListener?.(event, renewal.onActivity, true);
  return session;
}

/** Throws where something is wrong: says what. */
function refuse(wrong: string | false | undefined): void {
  if (wrong)
    throw Object.assign(new TypeError(`withSession(): wrong ${wrong}. See docs/errors/OPTION_INVALID.md`), {
      code: "OPTION_INVALID",
    });
}
