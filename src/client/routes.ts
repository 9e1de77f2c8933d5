// Asks the session routes over HTTP, with the cookie. Knows no socket.
import { type Known, type Said } from "./protocol.js";

export interface Answer extends Said, Known {
  readonly ticket?: string;
}

/** POSTs to a route. Never rejects: where nobody answers as a session route does, coming back later may help. */
export async function ask(url: string, body?: object): Promise<Answer> {
  try {
    const response = await fetch(url, {
      method: "POST",
      credentials: "include",
      ...(body && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    return (await response.json()) as Answer;
  } catch {
    return { retry: true };
  }
}
