// The browser's half of a live session, around a Socket.IO client that the application has: it tells the page of the
// session's end, its view and its expiry, comes back where that can help, and keeps the cookie alive. Knows the protocol
// (protocol.ts), nothing of the server's code.
import { here } from "./browser.js";
import type { ClientEvents, ClientOptions, ClientSession } from "./client-session.js";
import { createExpiry } from "./expiry.js";
import type { ClientCode, ClientSocket, Known, Said } from "./protocol.js";
import { createRenewal } from "./renewal.js";
import { type Answer, ask } from "./routes.js";
import { type Message, openTabs } from "./tabs.js";

export type { ClientEvents, ClientOptions, ClientSession } from "./client-session.js";
export type { ClientCode, ClientSocket } from "./protocol.js";
export { shouldRetry } from "./should-retry.js";

/**
 * Gives a page its session. Call it right after `io()`, before the socket connects.
 *
 * @throws TypeError with the code `OPTION_INVALID`
 * @example
 * ```ts
 * const socket = io();
 * const session = withSession<{ name: string }>(socket);
 * session.on("change", ({ name }) => (title.textContent = name));
 * session.on("end", ({ code }) => location.assign(`/login?reason=${code}`));
 * ```
 */
export function withSession<View = unknown>(
  socket: ClientSocket,
  { url = "/session", warnBefore = 60_000, ticket }: ClientOptions = {},
): ClientSession<View> {
  if (!socket?.io || typeof url !== "string" || !(warnBefore >= 0)) {
    throw Object.assign(new TypeError("withSession()"), { code: "OPTION_INVALID" });
  }
  const name = `socket-session ${url}`;
  const listeners: { [Event in keyof ClientEvents<View>]?: Set<(value: never) => void> } = {};
  /** Since when it waits for a new cookie or a good ticket, in ms of `performance`; 0 where it does not. */
  let since = 0;
  let tries = 0;
  let isClosed: boolean | undefined;
  /** Whether a session would be news: there was none yet, it is another than before, or the socket has none. */
  let isNew = true;
  /** Whether the socket is connected without a session, and was told so. */
  let isGuest = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let renewing: Promise<Answer> | undefined;

  const session = {
    on(event: keyof ClientEvents<View>, listener: (value: never) => void) {
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
      socket.offAnyOutgoing(renewal.active as never);
      for (const event of inputs) here.removeEventListener?.(event, renewal.active, true);
      tabs.close();
      rest();
      isClosed = true;
    },
  } as unknown as { -readonly [Key in keyof ClientSession<View>]: ClientSession<View>[Key] };
  const emit = <Event extends keyof ClientEvents<View>>(event: Event, value: ClientEvents<View>[Event]): void =>
    // What a listener throws is reported as a rejection: the others hear, and the client goes on.
    // oxlint-disable-next-line typescript/no-misused-promises -- nobody waits for it
    listeners[event]?.forEach(async (listener) => listener(value as never));

  const tabs = openTabs(name, heard);
  const renewal = createRenewal(name, renew);
  const expiry = createExpiry(warnBefore, (left) => emit("expiring", (session.expiring = { in: left })));

  /** Stops all timers. */
  function rest(): void {
    clearTimeout(timer);
    timer = undefined;
    renewal.stop();
    expiry(null);
  }

  // --- the end, and the way back ---

  /** The server turned this client away or sends it off. */
  function dismissed({ code, retry }: Said): void {
    if (code === "SESSION_ROTATED") {
      isNew = true;
      renewal.renewed();
    }
    // While the store is away nobody can tell whether the cookie is the new one: that time does not count.
    if (code === "STORE_UNAVAILABLE") since &&= performance.now();
    else {
      // A new session may not be stored yet when its cookie is there.
      const mayReturn = retry || (since && code === "SESSION_UNKNOWN");
      // After half a minute without success it gives up.
      if (!mayReturn || performance.now() - (since ||= performance.now()) > 30_000) return end(code as ClientCode);
    }
    timer ??= setTimeout(
      () => {
        timer = undefined;
        // Where Socket.IO is on its way back by itself, this does nothing. Where its CONNECT waits for an answer, it
        // would send another, and the server would have two sockets.
        if (!(socket.active && socket.io.engine.readyState === "open")) socket.connect();
      },
      Math.min(100 * 2 ** tries++, 2500) * (1 + Math.random()),
    );
  }

  /** What this user has not sent yet must not be sent as the next one. */
  function forget(): void {
    socket.sendBuffer = [];
    // Private to Socket.IO, 4.6 to 4.8: what its option `retries` keeps until it is acknowledged.
    (socket as { _queue?: unknown[] })._queue = [];
  }

  function end(code: ClientCode): void {
    if (session.ended) return;
    rest();
    session.ended = code;
    session.view = session.expiring = undefined;
    isNew = true;
    forget();
    // Where the server did not do it: Socket.IO must not come back.
    if (!socket.connected) socket.disconnect();
    // The session itself goes on.
    if (code !== "LIMIT_REACHED") tabs.tell({ end: code });
    emit("end", { code });
  }

  // --- what the page knows ---

  function lasts(life: number | null, isRenewal: unknown = session.expiring): void {
    if (isClosed) return;
    session.expiring = undefined;
    if (isRenewal) emit("renewed", { in: life });
    renewal.lasts(life);
    expiry(life);
  }

  function take({ view, in: life = null }: Known): void {
    // Nothing to see and no end: a socket that was let in without a session.
    isGuest = view === null && life === null;
    if (isNew) {
      // It may last shorter than the one before.
      renewal.stop();
      if (!isGuest) tabs.tell({ login: true });
    }
    isNew = isGuest;
    const isOther = JSON.stringify(view) !== JSON.stringify(session.view);
    lasts(life);
    session.view = view as View;
    if (isOther) emit("change", view as View);
  }

  async function renew(): Promise<boolean> {
    const answer = await (renewing = ask(`${url}/renew`));
    if (answer.in === undefined) {
      // Where there is no page (in Node), the cookie may be one that fetch() does not know.
      if (answer.code && !answer.retry && !since && !isClosed && here.location) {
        end(answer.code);
        socket.disconnect();
      }
      return false;
    }
    tabs.tell({ renewed: answer.in });
    renewed(answer.in);
    return true;
  }

  function renewed(life: number | null): void {
    renewal.renewed();
    lasts(life, true);
  }

  function heard(message: Message): void {
    if ("renewed" in message) {
      if (!session.ended) renewed(message.renewed);
    } else if (message.login) {
      if (session.ended ? !socket.active : isGuest) {
        if (session.ended) forget();
        socket.disconnect();
        socket.connect();
      }
    } else if (socket.connected) {
      // The server tells whoever is connected. If it does not, there is a session again: the other tab came too early.
      setTimeout(() => socket.connected && !isNew && tabs.tell({ login: true }), 1000);
    } else if (socket.active || timer) end(message.end);
  }

  // --- the handshake ---

  const own = socket.auth as Record<string, unknown> | ((done: (data: object) => unknown) => void) | undefined;

  async function give(data: object, done: (data: object) => void): Promise<void> {
    const { engine } = socket.io;
    const answer = ticket && (await ask(`${url}/ticket`));
    // The connection that this is for may be gone meanwhile: the next one asks anew.
    if (engine !== socket.io.engine) return;
    if (!answer || answer.ticket)
      return done({ ...data, session: { v: 1, ticket: (answer as Answer | undefined)?.ticket } });
    socket.disconnect();
    dismissed({ retry: true, code: "STORE_UNAVAILABLE", ...answer });
  }

  const auth = typeof own === "function" ? own : ticket && ((done: (data: object) => unknown) => done(own as object));
  socket.auth = auth
    ? (done: (data: object) => void) => auth((data) => give(data, done))
    : // An object stays the one that the application holds and may change.
      Object.assign(own ?? {}, { session: { v: 1 } });

  // --- what the socket tells ---

  const handlers: { readonly [event in string]: (value: never) => void } = {
    connect() {
      clearTimeout(timer);
      timer = session.ended = undefined;
      since = tries = 0;
    },
    disconnect() {
      isGuest = false;
      if (session.ended) socket.disconnect();
      // A handshake with the old cookie is answered by closing the transport.
      else if (since) dismissed({ code: "SESSION_ROTATED", retry: true });
    },
    connect_error({ data }: { data?: Said }) {
      // Without one of our codes the network failed, or the application refused.
      if (/^(SESSION|STORE|ORIGIN|TICKET|LIMIT)_/.test(data?.code as string)) dismissed(data as Said);
    },
    "session:end": dismissed,
    "session:view": take,
    async "session:collect"(order: { ticket: string }) {
      renewal.renewed();
      // An answer with the old cookie must not come after the one with the new.
      await renewing;
      if ((await ask(`${url}/collect`, order)).in !== undefined) isNew = true;
      // The server sees for itself whether the cookie was collected.
      socket.emit("session:collected" as never);
    },
  };
  for (const event in handlers) socket.on(event as never, handlers[event] as never);

  // What the server counts as activity, and what the user does on the page.
  const inputs = ["pointerdown", "keydown", "wheel"];
  socket.onAnyOutgoing(renewal.active as never);
  for (const event of inputs) here.addEventListener?.(event, renewal.active, true);
  return session;
}
