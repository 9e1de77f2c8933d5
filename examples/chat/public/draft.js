// The box for messages: its text is the session's draft, in all tabs.
import { $ } from "./dom.js";
import { note } from "./log.js";
import { away, socket, tab } from "./tab.js";

/** Writes the text of another tab into the box; the caret stays between the same letters. */
export function setDraft(text) {
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

$("draft").addEventListener("input", saveDraft);

export function saveDraft() {
  tab.isDraftAhead = true;
  if (!socket.connected) return; // sent on connect
  const text = $("draft").value;
  note("this tab → server: draft");
  socket.timeout(5000).emit("draft", text, (error) => {
    if (error || !tab.session || $("draft").value !== text) return; // a newer one is on its way
    tab.isDraftAhead = false;
    setDraft(tab.session.draft);
  });
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("draft").value;
  if (text.trim() === "") return;
  if (!socket.connected) return say("The server does not answer: your draft is kept.");
  $("draft").value = "";
  tab.isDraftAhead = true;
  note("this tab → server: message");
  socket.timeout(5000).emit("message", text, (error, answer) => {
    const problem = error ? away : answer.error;
    say(problem ?? "");
    if (!tab.session || $("draft").value !== "") return; // something newer was typed
    $("draft").value = problem ? text : "";
    if (problem) return;
    tab.isDraftAhead = false;
    setDraft(tab.session.draft);
  });
});

$("draft").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});

/** Says below the box what is wrong; an empty text takes it away. */
export function say(text) {
  $("composer-note").textContent = text;
}
