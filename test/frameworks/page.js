// Preloaded into the client program of a page: stands for the browser around it. It may log in before the program starts, its
// cookies go with fetch() and with each WebSocket, and the test is told what the program prints, and how often it connects.
import process from "node:process";
import { WebSocket } from "ws";

const cookies = new Map();
const send = globalThis.fetch;

globalThis.location = new URL(process.env.PAGE_URL);
const cookie = () => [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");

globalThis.fetch = async (path, init = {}) => {
  const response = await send(new URL(path, globalThis.location), { ...init, headers: { cookie: cookie() } });
  for (const line of response.headers.getSetCookie()) {
    const [pair] = line.split(";");
    cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
  }
  // express-session sends the headers before it has saved, and the last byte after.
  await response.clone().text();
  return response;
};

globalThis.WebSocket = class extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { headers: { cookie: cookie() } });
    this.on("error", () => undefined);
    process.send({ opened: true });
  }
};

globalThis.console.log = (...values) => process.send({ said: values.join(" ") });

// The test asks for a request; it gets the answer's text.
process.on("message", ({ method, path }) => {
  void globalThis.fetch(path, { method }).then(async (response) => process.send({ answer: await response.text() }));
});

if (process.env.PAGE_LOGS_IN === "true") await globalThis.fetch("/login", { method: "POST" });
