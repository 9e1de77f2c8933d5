// The page: the session comes, changes and goes. What it knows of the session comes from the client helper: see tab.js.
import { $ } from "./dom.js";
import { saveDraft, say } from "./draft.js";
import { showField, showSession, title } from "./fields.js";
import { submit } from "./forms.js";
import { note } from "./log.js";
import { markMine, readWhatIsSeen } from "./messages.js";
import { openPanel } from "./panel.js";
import { showSteps, tick } from "./steps.js";
import { closeStream } from "./stream.js";
import { account, socket, tab } from "./tab.js";
import { showWarning } from "./warning.js";

/** What the codes of socket-session mean to a person. */
const reasons = {
  SESSION_DESTROYED: "You logged out, in this tab or in another place.",
  SESSION_EXPIRED: "Nothing happened for a long time, so your session expired.",
  SESSION_UNKNOWN: "Your session is over.",
  SESSION_INVALID: "The server does not accept your session cookie any more. It may have been restarted.",
  SESSION_MISSING: "You are not logged in any more.",
  ORIGIN_REFUSED: "This page may not connect to the server: it is at another address.",
};

socket.on("connect", () => {
  note("this tab → server: connected");
  showStatus("live", "Live");
  for (const problem of document.querySelectorAll(".problem")) problem.remove();
  say("");
  if (tab.isDraftAhead) saveDraft();
});

account.on("change", (view) => {
  if (!view) return; // a new session, which is nobody's for a moment
  const before = tab.session;
  tab.session = view;
  if (before) heed(before, view);
  else enter();
  showSession(before);
  if (before?.author !== view.author) markMine();
  readWhatIsSeen();
});

// The session is over, or there is none yet: this tab is signed out. All others hear it, too. What helps to come back by
// itself (a new cookie, a store that was away) the helper waits for; the page then hears nothing.
account.on("end", ({ code }) => leave(code === "SESSION_MISSING" && !tab.session ? undefined : code));

socket.on("tabs", ({ tabs, streams, node }) => {
  const before = tab.open;
  tab.open = { tabs, streams };
  showField("tabs", node ? `${tabs} on ${node}` : tabs, before.tabs === tabs ? undefined : before.tabs);
  showField("streams", streams);
  if (before.tabs !== tabs) note(`server → this tab: ${tabs === 1 ? "1 tab is" : `${tabs} tabs are`} open`);
  if (tabs > 1) tick("tab");
});

// For the log alone.
socket.on("session:end", ({ code }) => note(`server → this tab: session:end ${code}`));

socket.on("disconnect", () => {
  if (tab.session) showStatus("waiting", "Reconnecting");
});

socket.on("connect_error", ({ data }) => {
  note(data?.code ? `server → this tab: refused ${data.code}` : "the server does not answer");
  showStatus("waiting", "Reconnecting");
});

/** What the server told, in words; and what it says of the steps. */
function heed(before, after) {
  const hasChanged = (field) => before[field] !== after[field];
  const isOthers = hasChanged("draft") && !tab.isDraftAhead && after.draft !== tab.ownDraft;
  const news = ["name", "unread"].filter(hasChanged);
  if (hasChanged("draft") && !tab.isDraftAhead) news.push("draft");
  if (hasChanged("fingerprint")) news.push("a new id");
  for (const field of news) note(`server → this tab: ${field}`);
  tab.ownDraft = undefined;
  if (isOthers && tab.open.tabs > 1) tick("type");
  if (hasChanged("fingerprint") && !hasChanged("author")) tick("renew");
}

function enter() {
  $("door").hidden = true;
  $("chat").hidden = false;
  $("room").prepend($("guide"));
  openPanel(false);
  showSteps();
  $("draft").focus();
}

/** Shows the door: with the reason, if there was a session. */
function leave(code) {
  if (code === "SESSION_DESTROYED" && tab.session) tick("logout");
  tab.session = undefined;
  tab.open = { tabs: 0, streams: 0 };
  tab.isDraftAhead = false;
  closeStream();
  showWarning();
  $("draft").value = "";
  $("messages").replaceChildren();
  $("log").replaceChildren();
  $("http-view").hidden = true;
  $("door-guide").append($("guide"));
  showSteps();
  openPanel(false);
  $("chat").hidden = true;
  $("door").hidden = false;
  document.title = title;
  $("door-title").textContent = code ? "You are signed out" : "Join the chat";
  $("reason").hidden = !code;
  $("reason-text").textContent = reasons[code] ?? "The connection was refused.";
  $("reason-code").textContent = code ?? "";
  if (code) $("door-title").focus();
  else $("name").focus();
}

// A login gives all tabs of this browser the session: the helper brings in those that are signed out.
$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { error } = await submit(event.target);
  $("name-error").textContent = error ?? "";
  $("name").setAttribute("aria-invalid", String(Boolean(error)));
  if (error) return $("name").focus();
  $("name").value = "";
  $("word").value = "";
  socket.connect();
});

function showStatus(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

socket.connect();
