// The page. What it knows of the session comes from the client helper: its view whenever that changes, its end, and a
// warning before. Text of users is only ever set as textContent.
"use strict";

const $ = (id) => document.getElementById(id);
const socket = window.io({
  autoConnect: false,
  transports: ["websocket", "polling"],
  tryAllTransports: true,
  reconnectionDelay: 300,
  reconnectionDelayMax: 3000,
});
const account = window.SocketSession.withSession(socket, { warnBefore: 30_000 });

/** What the codes of socket-session mean to a person. */
const reasons = {
  SESSION_DESTROYED: "You logged out, in this tab or in another place.",
  SESSION_EXPIRED: "Nothing happened for a long time, so your session expired.",
  SESSION_UNKNOWN: "Your session is over.",
  SESSION_INVALID: "The server does not accept your session cookie any more. It may have been restarted.",
  SESSION_MISSING: "You are not logged in any more.",
  ORIGIN_REFUSED: "This page may not connect to the server: it is at another address.",
};

/** The session's view, as it was shown last; undefined while signed out. */
let session;
/** Open tabs of this browser. */
let tabs;
/** True while the text in the box is newer than the session's draft. */
let isDraftAhead = false;

// --- the session comes and goes ---

socket.on("connect", () => {
  note("connected");
  showStatus("live", "Live");
  if (isDraftAhead) saveDraft();
});

account.on("change", (view) => {
  if (!view) return; // a new session, which is nobody's for a moment
  const before = session;
  session = view;
  if (before) noteChanges(before, view);
  else enter();
  showSession(before);
});

// The session is over, or there is none yet: this tab is signed out. All others hear it, too. What helps to come back by
// itself (a new cookie, a store that was away) the helper waits for; the page then hears nothing.
account.on("end", ({ code }) => leave(code === "SESSION_MISSING" && !session ? undefined : code));

account.on("expiring", (warning) => showWarning(warning.expiresIn));
account.on("renewed", () => showWarning());
$("stay").addEventListener("click", () => account.renew());

socket.on("tabs", (count) => {
  const before = tabs;
  tabs = count;
  showField("tabs", tabs, before);
});

// For the log alone.
socket.on("session:end", ({ code }) => note(`session:end ${code}`));

socket.on("disconnect", () => {
  if (session) showStatus("waiting", "Reconnecting");
});

socket.on("connect_error", ({ data }) => {
  if (data?.code) note(`refused ${data.code}`);
  showStatus("waiting", "Reconnecting");
});

function enter() {
  $("door").hidden = true;
  $("chat").hidden = false;
  $("draft").focus();
}

/** Shows the door: with the reason, if there was a session. */
function leave(code) {
  session = undefined;
  isDraftAhead = false;
  showWarning();
  $("draft").value = "";
  $("messages").replaceChildren();
  $("log").replaceChildren();
  $("http-view").hidden = true;
  openPanel(false);
  $("chat").hidden = true;
  $("door").hidden = false;
  document.title = "Chat";
  $("door-title").textContent = code ? "You are signed out" : "Join the chat";
  $("reason").hidden = !code;
  $("reason-text").textContent = reasons[code] ?? "The connection was refused.";
  $("reason-code").textContent = code ?? "";
  if (code) $("door-title").focus();
  else $("name").focus();
}

/** Counts down to the end of the session; without a time it hides the warning. */
let countdown;

function showWarning(left) {
  clearInterval(countdown);
  $("warning").hidden = left === undefined;
  if (left === undefined) return;
  const end = Date.now() + left;
  const count = () => ($("seconds").textContent = String(Math.max(0, Math.round((end - Date.now()) / 1000))));
  count();
  countdown = setInterval(count, 1000);
}

// A login gives all tabs of this browser the session: the helper brings in those that are signed out.
$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { error } = await submit(event.target);
  $("name-error").textContent = error ?? "";
  $("name").setAttribute("aria-invalid", String(Boolean(error)));
  if (error) return $("name").focus();
  $("name").value = "";
  socket.connect();
});

// --- what the session holds ---

function showSession(before) {
  const { name, unread, draft } = session;
  showField("name", name, before?.name);
  showField("unread", unread, before?.unread);
  showField("draft", draft, before?.draft);
  $("field-draft").classList.toggle("none", draft === "");
  if (draft === "") $("field-draft").textContent = "empty";
  paintAvatar($("panel-avatar"), name);
  document.title = unread > 0 ? `(${unread}) Chat` : "Chat";
  $("read").hidden = unread === 0;
  $("read").textContent = `${unread} unread · mark as read`;
  if (!isDraftAhead && $("draft").value !== draft) $("draft").value = draft;
}

function showField(name, value, before) {
  const field = $(`field-${name}`);
  field.textContent = String(value);
  if (before === undefined || before === value) return;
  field.classList.remove("changed");
  void field.offsetWidth; // starts the animation again
  field.classList.add("changed");
}

$("draft").addEventListener("input", saveDraft);

function saveDraft() {
  isDraftAhead = true;
  if (!socket.connected) return; // sent on connect
  const text = $("draft").value;
  socket.timeout(5000).emit("draft", text, (error) => {
    if (error || !session || $("draft").value !== text) return; // a newer one is on its way
    isDraftAhead = false;
    showSession(session);
  });
}

$("read").addEventListener("click", () => {
  socket.timeout(5000).emit("read", () => {});
  $("draft").focus();
});

$("rename").addEventListener("submit", (event) => {
  event.preventDefault();
  socket.timeout(15_000).emit("name", $("new-name").value, (error, answer) => {
    const problem = error ? "No answer from the server. Try again." : answer.error;
    $("rename-error").textContent = problem ?? "";
    if (!problem) $("new-name").value = "";
  });
});

// --- HTTP: plain forms; what they change comes back through the socket ---

for (const form of document.querySelectorAll("#panel form[action]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { error, answer } = await submit(form, event.submitter);
    if (error) note(error);
    if (!answer) return;
    $("http-view").hidden = false;
    $("http-view").textContent = JSON.stringify(answer, null, 1).replaceAll(/\n */g, " ");
  });
}

/** Sends a form as the browser would, without leaving the page. */
async function submit(form, submitter) {
  const method = submitter?.getAttribute("formmethod") ?? form.method;
  const body = method === "post" ? new URLSearchParams(new FormData(form, submitter)) : undefined;
  try {
    const response = await fetch(submitter?.getAttribute("formaction") ?? form.action, { method, body });
    if (response.status === 204) return {};
    const answer = await response.json();
    return response.ok ? { answer } : answer;
  } catch {
    return { error: "The server does not answer. Try again in a moment." };
  }
}

// --- messages ---

socket.on("history", (messages) => {
  $("messages").replaceChildren();
  for (const message of messages) addMessage(message);
  toEnd();
});

socket.on("message", (message) => {
  addMessage(message);
  if (isAtEnd || message.name === session?.name) toEnd();
});

socket.on("people", (names) => {
  const avatars = names.slice(0, 5).map((name) => {
    const avatar = element("span", "avatar");
    paintAvatar(avatar, name);
    avatar.title = name;
    return avatar;
  });
  const count = element("span", "count", names.length === 1 ? "only you" : `${names.length} here`);
  $("people").replaceChildren(...avatars, count);
  $("people").setAttribute("aria-label", `In the chat: ${names.join(", ")}`);
});

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("draft").value;
  if (text.trim() === "") return;
  if (!socket.connected) return say("Not connected: your draft is kept.");
  $("draft").value = "";
  isDraftAhead = true;
  socket.timeout(5000).emit("message", text, (error, answer) => {
    const problem = error ? "No answer from the server. Try again." : answer.error;
    say(problem ?? "");
    if (!session || $("draft").value !== "") return; // something newer was typed
    $("draft").value = problem ? text : "";
    if (!problem) isDraftAhead = false;
    showSession(session);
  });
});

$("draft").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

function addMessage({ id, name, text, at }) {
  const list = $("messages");
  if (list.querySelector(`[data-id="${Number(id)}"]`)) return;
  const isMine = name === session?.name;
  const isSame = list.lastElementChild?.dataset.name === name;
  const item = element("li", `message${isMine ? " mine" : ""}${isSame ? " same" : ""}`);
  item.dataset.id = id;
  item.dataset.name = name;
  const avatar = element("span", "avatar");
  avatar.setAttribute("aria-hidden", "true");
  paintAvatar(avatar, name);
  const head = element("p", "who");
  const time = element("time", "", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = new Date(at).toISOString();
  head.append(element("b", "", isMine ? "You" : name), " ", time);
  item.append(avatar, head, element("p", "text", text));
  list.append(item);
  while (list.childElementCount > 50) list.firstElementChild.remove();
}

/** Whoever reads the newest message keeps seeing it, also when a keyboard opens below. */
let isAtEnd = true;

$("scroller").addEventListener("scroll", () => {
  const { scrollTop, scrollHeight, clientHeight } = $("scroller");
  isAtEnd = scrollHeight - scrollTop - clientHeight < 80;
});

new ResizeObserver(() => isAtEnd && toEnd()).observe($("scroller"));

function toEnd() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
}

// --- small things ---

function noteChanges(before, after) {
  const names = ["name", "unread", "draft"].filter((field) => before[field] !== after[field]);
  if (names.length > 0) note(`changed ${names.join(", ")}`);
}

/** Adds a line to "What happened"; the same again only counts up. */
function note(text) {
  const last = $("log").firstElementChild;
  if (last?.dataset.text === text) {
    last.dataset.times = String(Number(last.dataset.times) + 1);
    last.querySelector("span").textContent = `${text} ×${last.dataset.times}`;
    return;
  }
  const item = element("li");
  item.dataset.text = text;
  item.dataset.times = "1";
  item.append(element("time", "", new Date().toLocaleTimeString()), element("span", "", text));
  $("log").prepend(item);
  while ($("log").childElementCount > 20) $("log").lastElementChild.remove();
}

function showStatus(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

function say(text) {
  $("composer-note").textContent = text;
}

function openPanel(isOpen) {
  $("chat").classList.toggle("panel-open", isOpen);
  $("panel-toggle").setAttribute("aria-expanded", String(isOpen));
}

$("panel-toggle").addEventListener("click", () => {
  const isOpen = !$("chat").classList.contains("panel-open");
  openPanel(isOpen);
  if (isOpen) $("panel-close").focus();
});

$("panel-close").addEventListener("click", () => {
  openPanel(false);
  $("panel-toggle").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") openPanel(false);
});

function paintAvatar(avatar, name) {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) % 360;
  avatar.textContent = [...name][0].toLocaleUpperCase();
  avatar.style.setProperty("--hue", String(hash));
}

function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

socket.connect();
