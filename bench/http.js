// The HTTP half of a browser: logs in, reads the session back, and speaks Socket.IO over long polling.
import { createConnection } from "node:net";
import { inParallel } from "./client.js";

/** Requests on their way at once. */
const width = 100;

/** Sends the requests over one connection, without waiting for each answer; the answers in order, as text. */
export function pipeline({ port }, requests) {
  return new Promise((resolve, reject) => {
    const answers = [];
    let sent = 0;
    let text = "";
    const socket = createConnection({ port, host: "127.0.0.1" });
    const send = () => {
      const next = requests.slice(sent, (sent += width));
      socket.write(
        next
          .map(({ method = "GET", path, cookie = "", body = "" }) => {
            const head = `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nCookie: ${cookie}\r\n`;
            return `${head}Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
          })
          .join(""),
      );
    };
    socket.on("error", reject);
    socket.on("data", (data) => {
      text += data.latin1Slice();
      for (;;) {
        const length = /^[^]*?\r\ncontent-length: (\d+)\r\n[^]*?\r\n\r\n/i.exec(text);
        const end = length && length[0].length + Number(length[1]);
        if (!length || text.length < end) break;
        const answer = text.slice(0, end);
        text = text.slice(end);
        if (!answer.startsWith("HTTP/1.1 200 ")) return reject(new Error(answer));
        answers.push(answer);
      }
      if (answers.length < Math.min(sent, requests.length)) return;
      if (sent < requests.length) return send();
      socket.destroy();
      resolve(answers);
    });
    send();
  });
}

/** Logs `count` users in; resolves with their cookies, which are empty where there is no session. */
export async function logIn(server, count) {
  const login = { method: "POST", path: "/login" };
  const answers = await pipeline(
    server,
    Array.from({ length: count }, () => login),
  );
  return answers.map((answer) => /\r\nset-cookie: ([^;]+)/i.exec(answer)?.[1] ?? "");
}

/** The count in each session, as HTTP sees it. */
export function countsOf(server, cookies) {
  return inParallel(cookies, 8, async (cookie) => {
    const response = await fetch(`${server.origin}/count`, { headers: { cookie } });
    return response.json();
  });
}

/** Connects clients over polling that then stay silent: without a request under way, they need no TCP connection. */
export async function connectSilently(server, cookies) {
  const path = "/socket.io/?EIO=4&transport=polling";
  const answers = await pipeline(
    server,
    cookies.map((cookie) => ({ path, cookie })),
  );
  const connects = answers.map((answer, index) => {
    const sid = /"sid":"([^"]+)"/.exec(answer)[1];
    return { method: "POST", path: `${path}&sid=${sid}`, cookie: cookies[index], body: "40" };
  });
  await pipeline(server, connects);
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
