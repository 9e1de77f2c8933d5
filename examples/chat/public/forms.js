// HTTP: plain forms; what they change comes back through the socket. And a login over the socket, as somebody else.
import { $, element } from "./dom.js";
import { note } from "./log.js";
import { away, socket, tab } from "./tab.js";

for (const form of document.querySelectorAll("#panel form[action]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { session } = tab;
    const { error, answer } = await submit(form, event.submitter);
    showProblem(form, error);
    // An answer that a change has overtaken is old by now.
    if (!answer || !session || tab.session !== session) return;
    $("http-view").hidden = false;
    $("http-view").textContent = JSON.stringify(answer, null, 1).replaceAll(/\n */g, " ");
  });
}

/** Sends a form as the browser would, without leaving the page. */
export async function submit(form, submitter) {
  const method = submitter?.getAttribute("formmethod") ?? form.method;
  const body = method === "post" ? new URLSearchParams(new FormData(form, submitter)) : undefined;
  const path = submitter?.getAttribute("formaction") ?? form.getAttribute("action");
  if (tab.session) note(`this tab → HTTP: ${method.toUpperCase()} ${path}`);
  if (path === "/draft") tab.ownDraft = body.get("text");
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
export function showProblem(form, text) {
  const isShown = form.nextElementSibling?.classList.contains("problem");
  if (!text) return isShown && form.nextElementSibling.remove();
  const problem = isShown ? form.nextElementSibling : element("p", "problem error");
  problem.setAttribute("role", "alert");
  if (!isShown) form.after(problem);
  problem.textContent = text;
}

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
