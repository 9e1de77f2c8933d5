// The HTTP half of a browser: logs in, reads the session back, and speaks Socket.IO over long polling.
import { inParallel } from "./client.js";

/** Logs `count` users in; resolves with their cookies. */
export function logIn(server, count) {
  return inParallel(Array.from({ length: count }), 8, async () => {
    const response = await fetch(`${server.origin}/login`, { method: "POST" });
    await response.text();
    return (response.headers.getSetCookie()[0] ?? "").split(";", 1)[0];
  });
}

/** The count in each session, as HTTP sees it. */
export function countsOf(server, cookies) {
  return inParallel(cookies, 8, async (cookie) => {
    const response = await fetch(`${server.origin}/count`, { headers: { cookie } });
    return response.json();
  });
}

/** Connects over polling, then emits `events` events one after the other. Resolves with the number of requests. */
export async function poll(server, cookie, events) {
  let requests = 0;
  let url = `${server.origin}/socket.io/?EIO=4&transport=polling`;
  const request = async (body) => {
    requests++;
    const method = body === undefined ? "GET" : "POST";
    const response = await fetch(url, { method, body, headers: { cookie, origin: server.origin } });
    return response.text();
  };
  const { sid } = JSON.parse((await request()).slice(1));
  url += `&sid=${sid}`;
  await request("40");
  await request();
  for (let index = 0; index < events; index++) {
    await request('420["ping"]');
    await request();
  }
  await request("1");
  return requests;
}
