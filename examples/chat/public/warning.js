// The warning before the session expires, with a button "stay signed in".
import { $ } from "./dom.js";
import { showProblem } from "./forms.js";
import { account, away } from "./tab.js";

account.on("expiring", (warning) => showWarning(warning.expiresIn));
account.on("renewed", () => {
  showProblem($("warning"));
  showWarning();
});
$("stay").addEventListener("click", async () => {
  const isRenewed = await account.renew();
  if (!isRenewed && !account.ended) showProblem($("warning"), away);
});

/** Counts down to the end of the session; without a time it hides the warning. */
let countdown;

export function showWarning(left) {
  clearInterval(countdown);
  $("warning").hidden = left === undefined;
  if (left === undefined) return;
  const end = Date.now() + left;
  const count = () => ($("seconds").textContent = String(Math.max(0, Math.round((end - Date.now()) / 1000))));
  count();
  countdown = setInterval(count, 1000);
}
