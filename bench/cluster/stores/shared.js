// What the contestants of this folder share.
import { start } from "../../contestants/socket-session.js";

/** As on one node, with a logout. */
export function startOn(store, parts) {
  const handlers = start({ ...parts, store });
  parts.app.post("/logout", (request, response, next) => {
    request.session.destroy((error) => (error ? next(error) : response.end()));
  });
  return handlers;
}
