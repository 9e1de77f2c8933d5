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

const title = "socket-session demo";
const away = "The server does not answer. Try again in a moment.";

/** The session's view, as it was shown last; undefined while signed out. */
let session;
/** What is open in this browser: tabs and streams. */
let open = { tabs: 0, streams: 0 };
/** True while the text in the box is newer than the session's draft. */
let isDraftAhead = false;

// --- the session comes and goes ---

socket.on("connect", () => {
  note("this tab → server: connected");
  showStatus("live", "Live");
  for (const problem of document.querySelectorAll(".problem")) problem.remove();
  say("");
  if (isDraftAhead) saveDraft();
});

account.on("change", (view) => {
  if (!view) return; // a new session, which is nobody's for a moment
  const before = session;
  session = view;
  if (before) heed(before, view);
  else enter();
  showSession(before);
  if (before?.author !== view.author) markMine();
  readWhatIsSeen();
});

// The session is over, or there is none yet: this tab is signed out. All others hear it, too. What helps to come back by
// itself (a new cookie, a store that was away) the helper waits for; the page then hears nothing.
account.on("end", ({ code }) => leave(code === "SESSION_MISSING" && !session ? undefined : code));

account.on("expiring", (warning) => showWarning(warning.expiresIn));
account.on("renewed", () => showWarning());
$("stay").addEventListener("click", () => account.renew());

socket.on("tabs", ({ tabs, streams, node }) => {
  const before = open;
  open = { tabs, streams };
  showField("tabs", node ? `${tabs} on ${node}` : tabs, before.tabs === tabs ? undefined : before.tabs);
  showField("streams", streams);
  if (before.tabs !== tabs) note(`server → this tab: ${tabs === 1 ? "1 tab is" : `${tabs} tabs are`} open`);
  if (tabs > 1) tick("tab");
});

// For the log alone.
socket.on("session:end", ({ code }) => note(`server → this tab: session:end ${code}`));

socket.on("disconnect", () => {
  if (session) showStatus("waiting", "Reconnecting");
});

socket.on("connect_error", ({ data }) => {
  note(data?.code ? `server → this tab: refused ${data.code}` : "the server does not answer");
  showStatus("waiting", "Reconnecting");
});

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
  if (code === "SESSION_DESTROYED" && session) tick("logout");
  session = undefined;
  open = { tabs: 0, streams: 0 };
  isDraftAhead = false;
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
  $("word").value = "";
  socket.connect();
});

// --- what the session holds ---

function showSession(before) {
  const { author, name, unread, draft, fingerprint } = session;
  showField("name", name, before?.name);
  showField("unread", unread, before?.unread);
  showField("draft", draft, before?.draft);
  showField("fingerprint", fingerprint, before?.fingerprint);
  $("field-draft").classList.toggle("none", draft === "");
  if (draft === "") $("field-draft").textContent = "empty";
  // What HTTP saw is no longer so.
  if (before) $("http-view").hidden = true;
  paintAvatar($("panel-avatar"), name, author);
  document.title = unread > 0 ? `(${unread}) ${title}` : title;
  $("read").hidden = unread === 0;
  $("read").textContent = `${unread} unread · show`;
  if (!isDraftAhead) setDraft(draft);
}

/** Writes the text of another tab into the box; the caret stays between the same letters. */
function setDraft(text) {
  const box = $("draft");
  const { value, selectionStart, selectionEnd, selectionDirection } = box;
  if (value === text) return;
  let start = 0;
  while (start < value.length && value[start] === text[start]) start++;
  let end = 0;
  const shorter = Math.min(value.length, text.length);
  while (end < shorter - start && value.at(-1 - end) === text.at(-1 - end)) end++;
  const moved = (at) => {
    if (at <= start) return at;
    return at >= value.length - end ? at + text.length - value.length : text.length - end;
  };
  box.value = text;
  box.setSelectionRange(moved(selectionStart), moved(selectionEnd), selectionDirection);
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
  note("this tab → server: draft");
  socket.timeout(5000).emit("draft", text, (error) => {
    if (error || !session || $("draft").value !== text) return; // a newer one is on its way
    isDraftAhead = false;
    showSession(session);
  });
}

$("read").addEventListener("click", () => {
  toEnd();
  $("draft").focus();
});

/** What somebody has before his eyes is read: the newest messages, in a tab that is looked at. */
function readWhatIsSeen() {
  const isCovered = isSmall.matches && $("chat").classList.contains("panel-open");
  const isSeen = document.visibilityState === "visible" && document.hasFocus() && isAtEnd && !isCovered;
  if (!session || session.unread === 0 || !isSeen || !socket.connected || isReading) return;
  isReading = true;
  note("this tab → server: read");
  socket.timeout(5000).emit("read", () => (isReading = false));
}

for (const event of ["focus", "visibilitychange"]) window.addEventListener(event, readWhatIsSeen, true);

$("rename").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!socket.connected) return showProblem($("rename"), away);
  note("this tab → server: log in as someone else");
  socket.timeout(15_000).emit("name", $("new-name").value, (error, answer) => {
    const problem = error ? away : answer.error;
    showProblem($("rename"), problem);
    if (!problem) $("new-name").value = "";
  });
});

// --- HTTP: plain forms; what they change comes back through the socket ---

for (const form of document.querySelectorAll("#panel form[action]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { error, answer } = await submit(form, event.submitter);
    showProblem(form, error);
    if (!answer || !session) return;
    $("http-view").hidden = false;
    $("http-view").textContent = JSON.stringify(answer, null, 1).replaceAll(/\n */g, " ");
  });
}

/** Sends a form as the browser would, without leaving the page. */
async function submit(form, submitter) {
  const method = submitter?.getAttribute("formmethod") ?? form.method;
  const body = method === "post" ? new URLSearchParams(new FormData(form, submitter)) : undefined;
  const path = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  if (session) note(`this tab → HTTP: ${method.toUpperCase()} ${path}`);
  if (path === "/draft") ownDraft = body.get("text");
  try {
    const response = await fetch(path, { method, body });
    if (response.status === 204) return {};
    const answer = await response.json();
    return response.ok ? { answer } : answer;
  } catch {
    return { error: away };
  }
}

/** Says below a form, where its button was pressed, what is wrong; undefined takes it away. */
function showProblem(form, text) {
  const isShown = form.nextElementSibling?.classList.contains("problem");
  if (!text) return isShown && form.nextElementSibling.remove();
  const problem = isShown ? form.nextElementSibling : element("p", "problem error");
  problem.setAttribute("role", "alert");
  if (!isShown) form.after(problem);
  problem.textContent = text;
}

// --- a stream: Server-Sent Events, which end with the session ---

let source;

$("stream-toggle").addEventListener("click", () => {
  if (source) return closeStream();
  source = new EventSource("/clock");
  source.addEventListener("open", () => note("stream → this tab: open"));
  source.addEventListener("clock", ({ data }) => {
    $("clock").textContent = `the server has ${new Date(Number(data)).toLocaleTimeString()}`;
  });
  source.addEventListener("session:end", ({ data }) => note(`stream → this tab: session:end ${JSON.parse(data).code}`));
  source.addEventListener("error", () => ($("clock").textContent = "away, it comes back by itself"));
  // Closes the stream where coming back cannot help.
  window.SocketSession.withSession(source).on("end", closeStream);
  showStream("waiting for the server");
});

function closeStream() {
  source?.close();
  source = undefined;
  showStream("not open");
}

function showStream(text) {
  $("clock").textContent = text;
  $("stream-toggle").textContent = source ? "Close the stream" : "Open a stream";
  $("stream-toggle").setAttribute("aria-pressed", String(Boolean(source)));
}

// --- messages ---

socket.on("history", (messages) => {
  $("messages").replaceChildren();
  for (const message of messages) addMessage(message);
  toEnd();
});

socket.on("message", (message) => {
  addMessage(message);
  if (isAtEnd || message.author === session?.author) toEnd();
});

socket.on("people", (people) => {
  const names = people.map(({ name }) => name);
  const avatars = people.slice(0, 5).map(({ author, name }) => {
    const avatar = element("span", "avatar");
    paintAvatar(avatar, name, author);
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
  if (!socket.connected) return say("The server does not answer: your draft is kept.");
  $("draft").value = "";
  isDraftAhead = true;
  note("this tab → server: message");
  socket.timeout(5000).emit("message", text, (error, answer) => {
    const problem = error ? away : answer.error;
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

function addMessage({ id, author, name, text, at }) {
  const list = $("messages");
  if (list.querySelector(`[data-id="${Number(id)}"]`)) return;
  const isSame = list.lastElementChild?.dataset.author === author;
  const item = element("li", `message${isSame ? " same" : ""}`);
  item.dataset.id = id;
  item.dataset.author = author;
  item.dataset.name = name;
  const avatar = element("span", "avatar");
  avatar.setAttribute("aria-hidden", "true");
  paintAvatar(avatar, name, author);
  const head = element("p", "who");
  const time = element("time", "", new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = new Date(at).toISOString();
  head.append(element("b"), " ", time);
  item.append(avatar, head, element("p", "text", text));
  list.append(item);
  markMine(item);
  while (list.childElementCount > 50) list.firstElementChild.remove();
}

/** An author is who has the session, whatever the name: after a login as someone else what was said before stays theirs. */
function markMine(...items) {
  for (const item of items.length > 0 ? items : $("messages").children) {
    const isMine = item.dataset.author === session?.author;
    item.classList.toggle("mine", isMine);
    item.querySelector("b").textContent = isMine ? "You" : item.dataset.name;
  }
}

/** Whoever reads the newest message keeps seeing it, also when a keyboard opens below. */
let isAtEnd = true;
/** True while the server is being told that the messages are read. */
let isReading = false;

$("scroller").addEventListener("scroll", () => {
  const { scrollTop, scrollHeight, clientHeight } = $("scroller");
  isAtEnd = scrollHeight - scrollTop - clientHeight < 80;
  readWhatIsSeen();
});

new ResizeObserver(() => isAtEnd && toEnd()).observe($("scroller"));

function toEnd() {
  $("scroller").scrollTop = $("scroller").scrollHeight;
}

/** The draft that this tab sent over HTTP. */
let ownDraft;

/** What the server told, in words; and what it says of the steps. */
function heed(before, after) {
  const hasChanged = (field) => before[field] !== after[field];
  const isOthers = hasChanged("draft") && !isDraftAhead && after.draft !== ownDraft;
  const news = ["name", "unread"].filter(hasChanged);
  if (hasChanged("draft") && !isDraftAhead) news.push("draft");
  if (hasChanged("fingerprint")) news.push("a new id");
  for (const field of news) note(`server → this tab: ${field}`);
  ownDraft = undefined;
  if (isOthers && open.tabs > 1) tick("type");
  if (hasChanged("fingerprint") && !hasChanged("author")) tick("renew");
}

/** Adds a line to "What happened", the newest first. One that stands there just now is folded: it counts up. */
function note(text) {
  const list = $("log");
  const same = [...list.children].slice(0, 3).find((item) => item.dataset.text === text);
  const item = same ?? element("li");
  const times = Number(item.dataset.times ?? 0) + 1;
  item.dataset.text = text;
  item.dataset.times = String(times);
  item.replaceChildren(
    element("time", "", new Date().toLocaleTimeString("en-GB")),
    element("span", "", times > 1 ? `${text} ×${times}` : text),
  );
  list.prepend(item);
  while (list.childElementCount > 30) list.lastElementChild.remove();
}

// --- the steps, which tick themselves; all tabs of the browser show the same ---

const steps = [...document.querySelectorAll("[data-step]")];

function stepsDone() {
  return (localStorage.getItem("steps") ?? "").split(" ").filter(Boolean);
}

function tick(step) {
  const done = stepsDone();
  if (done.includes(step)) return;
  localStorage.setItem("steps", [...done, step].join(" "));
  showSteps();
}

function showSteps() {
  const done = stepsDone();
  const isBegun = done.length > 0 || session !== undefined;
  for (const item of steps) {
    const isDone = done.includes(item.dataset.step);
    item.classList.toggle("done", isDone);
    item.querySelector(".hidden")?.remove();
    if (isDone) item.append(element("span", "hidden", " (done)"));
  }
  $("guide").hidden = !isBegun;
  $("guide-end").hidden = done.length < steps.length;
}

$("again").addEventListener("click", () => {
  localStorage.removeItem("steps");
  if (open.tabs > 1) tick("tab");
  showSteps();
});

window.addEventListener("storage", showSteps);

// --- small things ---

function showStatus(state, text) {
  $("status").dataset.state = state;
  $("status").textContent = text;
}

function say(text) {
  $("composer-note").textContent = text;
}

/** On a small screen the session lies over the chat, which is then out of reach. */
const isSmall = window.matchMedia("(width < 56rem)");

function openPanel(isOpen) {
  $("chat").classList.toggle("panel-open", isOpen);
  $("panel-toggle").setAttribute("aria-expanded", String(isOpen));
  $("panel").inert = isSmall.matches && !isOpen;
  $("top").inert = $("room").inert = isSmall.matches && isOpen;
  readWhatIsSeen();
}

isSmall.addEventListener("change", () => openPanel($("chat").classList.contains("panel-open")));
$("backdrop").addEventListener("click", closePanel);
$("panel-close").addEventListener("click", closePanel);

function closePanel() {
  openPanel(false);
  if (isSmall.matches) $("panel-toggle").focus();
}

$("panel-toggle").addEventListener("click", () => {
  const isOpen = !$("chat").classList.contains("panel-open");
  openPanel(isOpen);
  if (isOpen) $("panel-close").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $("chat").classList.contains("panel-open")) closePanel();
});

/** The letter is of the name, the colour of the author: strangers may have the same name. */
function paintAvatar(avatar, name, author) {
  let hash = 7;
  for (const letter of author) hash = (hash * 31 + letter.codePointAt(0)) % 360;
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
