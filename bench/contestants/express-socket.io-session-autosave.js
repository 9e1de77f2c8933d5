// express-socket.io-session, saving by itself.
import { start as startShared } from "./express-socket.io-session.js";

export function start(host) {
  return startShared(host, { autoSave: true });
}
