// Lets response.end() take a callback: express-session takes it for a piece of the body (expressjs/session#477). srvx and
// h3 call end() so. Knows no sessions.
import type { ServerResponse } from "node:http";

type End = (this: ServerResponse, chunk?: unknown, encoding?: unknown, callback?: () => void) => ServerResponse;

/** `plain` is the response's own `end`, below that of express-session, which is on the response now. */
export function takeEndCallback(response: ServerResponse, plain: ServerResponse["end"]): void {
  const end = response.end as End;
  const withCallback: End = (chunk, encoding, callback) => {
    const done = [chunk, encoding, callback].find((one) => typeof one === "function") as (() => void) | undefined;
    if (done) {
      // Node knows what a callback is told that comes too late.
      if (response.writableFinished) return (plain as End).call(response, done);
      response.once("finish", done);
    }
    if (typeof chunk === "function") return end.call(response);
    return typeof encoding === "function" ? end.call(response, chunk) : end.call(response, chunk, encoding);
  };
  response.end = withCallback as ServerResponse["end"];
}
