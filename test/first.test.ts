import { expect, test } from "vitest";
import { startApp } from "./support/app.js";
import { closed, transports } from "./support/browser.js";

for (const via of transports) {
  test(`smoke ${via}`, async () => {
    const { login, browser } = await startApp({
      setup({ io }) {
        io.on("connection", (socket) => {
          socket.on("add", async (item: string, done: (cart: unknown) => void) => {
            socket.session.cart ??= [];
            socket.session.cart.push(item);
            await socket.session.save();
            done(socket.session.cart);
          });
          socket.on("user", (done) => done(socket.session.user));
        });
      },
    });
    expect(await browser().refused("/", { via })).toEqual({ code: "SESSION_MISSING", retry: false });
    const ada = await login();
    const socket = await ada.connect("/", { via });
    expect(await socket.emitWithAck("add", "apple")).toEqual(["apple"]);
    expect(await ada.get("/session")).toEqual({ user: "ada", cart: ["apple"] });
    await ada.post("/set", { user: "bob" });
    expect(await socket.emitWithAck("user")).toBe("bob");
    const end = closed(socket);
    await ada.post("/logout");
    expect(await end).toEqual({ told: [{ code: "SESSION_DESTROYED", retry: false }], reason: "io server disconnect" });
    expect(await ada.refused("/", { via })).toEqual({ code: "SESSION_UNKNOWN", retry: false });
  });
}
