// Answers requests whose session holds what JSON, or a cookie, cannot. express-session throws for such a session: in
// res.end(), after it has marked the response as ended, so that nobody can answer any more, and in save(). Here the
// response is sent without saving the session, and save() hands the error to its callback.
import type { IncomingMessage, ServerResponse } from "node:http";
import { stringify } from "../store/record/session-record.js";

type End = (this: ServerResponse, ...values: unknown[]) => ServerResponse;
type Next = (error?: unknown) => void;

interface Session {
  save(callback?: Next): unknown;
  reload(callback: Next): unknown;
}

type SessionRequest = IncomingMessage & { session?: object | undefined };

/** Lets express-session's `res.end()` answer, whatever the application put into its session; `end` is the response's own. */
export function answerAnyway(
  request: SessionRequest,
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
      if (!session) throw error;
      // It looks at the session once more, for its cookie.
      request.session = undefined;
      let answered: ServerResponse;
      try {
        // What the response itself does not take is thrown here once more.
        answered = Reflect.apply(end as End, this, values);
      } finally {
        request.session = session;
      }
      // As express-session does with the errors of its store.
      setImmediate(next, errorOf(session) ?? error);
      return answered;
    }
  } as typeof response.end;
  saveSafely(request);
}

/** A callback is nowhere that an exception could be caught. */
function saveSafely(request: SessionRequest): void {
  const session = request.session as Session | undefined;
  if (!session) return;
  const { save, reload } = session;
  session.save = function (this: Session, callback?: Next): unknown {
    try {
      return save.call(this, callback);
    } catch (error) {
      if (typeof callback === "function") setImmediate(callback, errorOf(this) ?? error);
      return this;
    }
  };
  session.reload = function (this: Session, callback: Next): unknown {
    return reload.call(this, (error) => {
      // The request has another object then.
      if (request.session !== this) saveSafely(request);
      callback(error);
    });
  };
}

function errorOf(session: object): unknown {
  try {
    stringify(session);
    return undefined;
  } catch (error) {
    return error;
  }
}
