// What the session holds, field by field.
import { $, paintAvatar } from "./dom.js";
import { setDraft } from "./draft.js";
import { tab } from "./tab.js";

export const title = "socket-session demo";

export function showSession(before) {
  const { author, name, unread, draft, fingerprint } = tab.session;
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
  if (!tab.isDraftAhead) setDraft(draft);
}

export function showField(name, value, before) {
  const field = $(`field-${name}`);
  field.textContent = String(value);
  if (before === undefined || before === value) return;
  field.classList.remove("changed");
  void field.offsetWidth; // starts the animation again
  field.classList.add("changed");
}
