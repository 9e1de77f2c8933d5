// Asks the session routes over HTTP, with the cookie. Knows no socket.
import type { SessionView, CloseReason } from "./protocol.js";

/** What a route answers, whichever it is. */
export interface Answer extends CloseReason, SessionView {
  readonly ticket?: string;
  /** True where the server has no session routes at this address. */
  readonly isNowhere?: boolean;
}

/** POSTs to a route. Never rejects: without a JSON answer a later attempt may help. */
export async function ask(url: string, body?: object): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      credentials: "include",
      ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    // Anything else answers for an address where no routes are.
    if (response.status === 404) return { retry: true, isNowhere: true };
    return (await response.json()) as Answer;
  } catch {
    return { retry: true };
  }
}
