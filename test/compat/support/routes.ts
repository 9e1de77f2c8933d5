// The HTTP side of the applications: answers in the plainest way, so that it runs on every framework.
import type { IncomingMessage, ServerResponse } from "node:http";

export type Routes = (request: IncomingMessage & { session?: any }, response: ServerResponse, next: () => void) => void;

/** `POST /set` with fields, `POST /logout`, `GET /id`, and `GET /session`, which is answered by `show`. */
export function makeRoutes(show: (session: any) => object): Routes {
  return (request, response, next) => {
    const { session } = request;
    const answer = (value: unknown): void => {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify(value));
    };
    switch (`${request.method} ${request.url}`) {
      case "POST /set": {
        let text = "";
        request.setEncoding("utf8");
        request.on("data", (chunk: string) => (text += chunk));
        request.on("end", () => {
          Object.assign(session, JSON.parse(text || "{}"));
          answer({});
        });
        return;
      }
      case "POST /logout":
        return session.destroy(() => answer({}));
      case "GET /session":
        return answer(show(session));
      case "GET /id":
        return answer(session.id);
      default:
        next();
    }
  };
}

/** The fields of a session, without its cookie. */
export function fieldsOf(session: any): object {
  const { cookie: _, ...fields } = session;
  return fields;
}
