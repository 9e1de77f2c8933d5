// "What happened": who told whom, and what.
import { $, element } from "./dom.js";

/** Adds a line to "What happened", the newest first. One that stands there just now is folded: it counts up. */
export function note(text) {
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
