// Messages, who is here, and what counts as read.
import { $, element, paintAvatar } from "./dom.js";
import { note } from "./log.js";
import { socket, tab } from "./tab.js";

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

socket.on("history", (messages) => {
  $("messages").replaceChildren();
  for (const message of messages) addMessage(message);
  toEnd();
});

socket.on("message", (message) => {
  addMessage(message);
  if (isAtEnd || message.author === tab.session?.author) toEnd();
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
export function markMine(...items) {
  for (const item of items.length > 0 ? items : $("messages").children) {
    const isMine = item.dataset.author === tab.session?.author;
    item.classList.toggle("mine", isMine);
    item.querySelector("b").textContent = isMine ? "You" : item.dataset.name;
  }
}

$("read").addEventListener("click", () => {
  toEnd();
  $("draft").focus();
});

/** What somebody has before his eyes is read: the newest messages, in a tab that is looked at. */
export function readWhatIsSeen() {
  const isCovered = $("room").inert; // the session lies over it
  const isSeen = document.visibilityState === "visible" && document.hasFocus() && isAtEnd && !isCovered;
  if (!tab.session || tab.session.unread === 0 || !isSeen || !socket.connected || isReading) return;
  isReading = true;
  note("this tab → server: read");
  socket.timeout(5000).emit("read", () => (isReading = false));
}

for (const event of ["focus", "visibilitychange"]) window.addEventListener(event, readWhatIsSeen, true);
