// Starts the chat: `npm start`, then open the printed address in two tabs and in another browser.
//
//   PORT             where to listen (default 3000; 0 takes a free port); where it is taken, one of the next
//   SESSION_SECRET   signs the session cookies (default: a new one at each start, which logs everyone out)
//   SESSION_MAX_AGE  seconds that a session lives without activity (default: 8 hours)
import process from "node:process";
import { startChat } from "./app.js";

const { SESSION_SECRET, SESSION_MAX_AGE } = process.env;
const PORT = process.env.PORT || "3000";
if (!/^\d+$/.test(PORT) || Number(PORT) > 65_535) {
  console.error(`PORT is ${JSON.stringify(PORT)}: it must be a number from 0 to 65535.`);
  process.exit(1);
}

const chat = await startChat({
  port: Number(PORT),
  secret: SESSION_SECRET || undefined,
  maxAge: SESSION_MAX_AGE ? Number(SESSION_MAX_AGE) * 1000 : undefined,
});

const isElsewhere = PORT !== "0" && new URL(chat.url).port !== PORT;
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void chat.stop());
console.log(`The demo of socket-session is at ${chat.url}${isElsewhere ? ` (port ${PORT} is taken)` : ""}`);
console.log(
  "Open it in two tabs, log in, and type in one: the other tab has the text, too. Another browser is somebody else.",
);
console.log("Then log out in one tab: both are signed out. Ctrl-C stops the server.");
