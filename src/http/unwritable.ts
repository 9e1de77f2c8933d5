// Requests whose session holds what JSON cannot: express-session throws in res.end() then, after it has noted that the
// response is ended, so that nobody can answer any more. Such a request is answered, without its session.
import type { IncomingMessage, ServerResponse } from "node:http";
import { stringify } from "../store/record.js";

type End = (this: ServerResponse, ...values: unknown[]) => ServerResponse;
type Next = (error?: unknown) => void;

/** Lets express-session's `res.end()` answer, whatever the application put into its session; `end` is the response's own. */
export function answerAnyway(
  request: IncomingMessage & { session?: object | undefined },
  response: ServerResponse,
  end: ServerResponse["end"],
  next: Next,
): void {
  const saveAndEnd = response.end as End;
  response.end = function (this: ServerResponse, ...values: unknown[]): ServerResponse {
    try {
      return Reflect.apply(saveAndEnd, this, values);
    } catch (error) {
      const { session } = request;
      const invalid = session && errorOf(session);
      if (!invalid) throw error;
      // As express-session does with the errors of its store.
      setImmediate(next, invalid);
      // It looks at the session once more, for its cookie.
      request.session = undefined;
      try {
        return Reflect.apply(end as End, this, values);
      } finally {
        request.session = session;
      }
    }
  } as typeof response.end;
}

function errorOf(session: object): unknown {
  try {
    stringify(session);
    return undefined;
  } catch (error) {
    return error;
  }
}
