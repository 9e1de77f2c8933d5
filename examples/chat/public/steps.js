// The steps, which tick themselves; all tabs of the browser show the same.
import { $, element } from "./dom.js";
import { tab } from "./tab.js";

const steps = [...document.querySelectorAll("[data-step]")];

function stepsDone() {
  return (localStorage.getItem("steps") ?? "").split(" ").filter(Boolean);
}

export function tick(step) {
  const done = stepsDone();
  if (done.includes(step)) return;
  localStorage.setItem("steps", [...done, step].join(" "));
  showSteps();
}

export function showSteps() {
  const done = stepsDone();
  const isBegun = done.length > 0 || tab.session !== undefined;
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
  if (tab.open.tabs > 1) tick("tab");
  showSteps();
});

window.addEventListener("storage", showSteps);
