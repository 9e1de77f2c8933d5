// The stacks themselves: each can do what the compat tests take for granted.
import { describe, expect, test } from "vitest";
import { received, stacksWith, startStack } from "./stacks.js";

describe.each(stacksWith("4", "3.1", "2.5", "1.7", "0.9", "Connect 1.9"))("$title", ({ stack, via }) => {
  test("HTTP has a session, and its cookie comes with the client's handshake", async () => {
    const cookies: unknown[] = [];
    const app = await startStack(stack, {
      via,
      setup({ io }) {
        for (const namespace of [io.sockets, io.of("/chat")]) {
          namespace.on("connection", (socket: any) => {
            cookies.push(socket.handshake.headers.cookie);
            socket.on("echo", (value: unknown) => socket.emit("echo", value));
          });
        }
      },
    });
    const browser = await app.login({ user: "ada" });
    expect(await browser.get("/session")).toMatchObject({ user: "ada" });
    expect(browser.cookie).toMatch(/^connect\.sid=/);

    const client = await app.connect(browser.cookie);
    const chat = await app.connect(browser.cookie, { namespace: "/chat", beside: client });
    const alone = await app.connect(undefined, { namespace: "/chat" });
    for (const socket of [client, chat, alone]) {
      const echo = received(socket, "echo");
      socket.emit("echo", 42);
      expect(await echo).toBe(42);
    }
    expect(cookies.slice(0, 2)).toEqual([browser.cookie, browser.cookie]);
    expect(cookies.at(-1)).toBeUndefined();
    expect(app.sockets("/chat")).toHaveLength(2);
    await expect(app.refused(undefined)).rejects.toThrow("should be refused");

    await browser.post("/logout");
    expect(await browser.get("/session")).not.toHaveProperty("user");
  });

  test("a refusal is told", async () => {
    const app = await startStack(stack, {
      via,
      setup({ io }) {
        if (io.set) io.set("authorization", (_: unknown, done: any) => done(null, false));
        else io.use((_: unknown, next: any) => next(new Error("not here")));
      },
    });
    expect(await app.refused(undefined)).toMatch(/not here|unauthorized|not authorized/i);
  });
});
