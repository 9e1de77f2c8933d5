// The panel with the session. On a small screen it lies over the chat, which is then out of reach.
import { $ } from "./dom.js";
import { readWhatIsSeen } from "./messages.js";

const isSmall = window.matchMedia("(width < 56rem)");

export function openPanel(isOpen) {
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
