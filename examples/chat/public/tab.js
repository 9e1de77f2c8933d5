// What this tab has: its socket, the client helper around it, and what the page remembers of the session.

export const socket = window.io({
  autoConnect: false,
  transports: ["websocket", "polling"],
  tryAllTransports: true,
  reconnectionDelay: 300,
  reconnectionDelayMax: 3000,
});

/** Tells of the session: its view whenever that changes, its end, and a warning before. */
export const account = window.SocketSession.withSession(socket, { warnBefore: 30_000 });

export const away = "The server does not answer. Try again in a moment.";

export const tab = {
  /** The session's view, as it was shown last; undefined while signed out. */
  session: undefined,
  /** What is open in this browser: tabs and streams. */
  open: { tabs: 0, streams: 0 },
  /** True while the text in the box is newer than the session's draft. */
  isDraftAhead: false,
  /** The draft that this tab sent over HTTP. */
  ownDraft: undefined,
};
