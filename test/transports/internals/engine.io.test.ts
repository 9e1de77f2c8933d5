// What the library leans on in Engine.IO: as Socket.IO 4.6.0 has it, the oldest that is supported, and in the newest.
import { once } from "node:events";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { Server as Newest, type Socket } from "engine.io";
import { describe, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { closeReason } from "../../../src/errors.js";
import { closeWith, pauseTransport, type Transport } from "../../../src/transports/engine-internals.js";

const besideSocketIo = createRequire(createRequire(import.meta.url).resolve("socket.io-4.6.0"));
const { Server: Oldest } = besideSocketIo("engine.io") as { Server: typeof Newest };
const reason = closeReason("SESSION_DESTROYED");

describe.each([
  ["6.4", Oldest],
  ["newest", Newest],
])("Engine.IO %s", (_version, ServerOf) => {
  const start = async () => {
    const http = createServer();
    const engine = new ServerOf();
    engine.attach(http);
    http.listen(0, "127.0.0.1");
    await once(http, "listening");
    onTestFinished(() => {
      engine.close();
      http.closeAllConnections();
      http.close();
    });
    const path = `127.0.0.1:${(http.address() as AddressInfo).port}/engine.io/?EIO=4&transport=`;
    return { http, engine, path };
  };
  const transportOf = (socket: Socket): Transport => socket.transport as unknown as Transport;

  test("a POST is neither read nor answered while its transport is paused", async () => {
    const { http, engine, path } = await start();
    const connected = once(engine, "connection") as Promise<[Socket]>;
    const opened = await (await fetch(`http://${path}polling`)).text();
    const { sid } = JSON.parse(opened.slice(1)) as { sid: string };
    const [socket] = await connected;
    const heard: string[] = [];
    socket.on("message", (message: string) => heard.push(message));
    const resume = pauseTransport(transportOf(socket));
    const arrived = once(http, "request");
    const answer = fetch(`http://${path}polling&sid=${sid}`, { method: "POST", body: "4hello" }).then((response) => {
      heard.push("answered");
      return response.text();
    });
    await arrived;
    // An answer would have come before this one, on a connection of its own.
    await fetch(`http://${path}polling`);
    expect(heard).toEqual([]);
    resume();
    expect(await answer).toBe("ok");
    expect(heard).toEqual(["hello", "answered"]);
  });

  test("a WebSocket is not read while its transport is paused", async () => {
    const { engine, path } = await start();
    const connected = once(engine, "connection") as Promise<[Socket]>;
    const client = new WebSocket(`ws://${path}websocket`);
    await once(client, "open");
    const [socket] = await connected;
    const { socket: inner } = socket.transport as unknown as { socket: WebSocket };
    const resume = pauseTransport(transportOf(socket));
    expect(inner.isPaused).toBe(true);
    resume();
    expect(inner.isPaused).toBe(false);
    client.terminate();
  });

  test("the last poll is answered with the status and the reason of a close", async () => {
    const { engine, path } = await start();
    const connected = once(engine, "connection") as Promise<[Socket]>;
    const opened = await (await fetch(`http://${path}polling`)).text();
    const { sid } = JSON.parse(opened.slice(1)) as { sid: string };
    const [socket] = await connected;
    const poll = fetch(`http://${path}polling&sid=${sid}`);
    await expect.poll(() => (socket.transport as { writable?: boolean }).writable).toBe(true);
    closeWith(transportOf(socket), reason);
    socket.close();
    const response = await poll;
    expect([response.status, await response.json()]).toEqual([401, reason]);
  });

  test("a WebSocket is closed with the code and the reason", async () => {
    const { engine, path } = await start();
    const connected = once(engine, "connection") as Promise<[Socket]>;
    const client = new WebSocket(`ws://${path}websocket`);
    const closed = once(client, "close");
    const [socket] = await connected;
    closeWith(transportOf(socket), reason);
    socket.close();
    const [code, text] = (await closed) as [number, Buffer];
    expect([code, String(text)]).toEqual([4401, "SESSION_DESTROYED"]);
  });
});
