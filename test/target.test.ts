// What stands for a session: an id, a request, a socket, a session object.
import { expect, test } from "vitest";
import { type SessionError } from "../src/index.js";
import { startApp } from "./support/app.js";

test("an express-session object is a target like its request; nothing at all is TARGET_INVALID", async () => {
  const app = await startApp({
    setup({ app, sessions }) {
      app.get("/rooms", (req, res) => {
        res.json([sessions.room(req.session as never), sessions.room(req)]);
      });
    },
  });
  const ada = await app.login();
  const [ofSession, ofRequest] = await ada.get<string[]>("/rooms");
  expect(ofSession).toBeTypeOf("string");
  expect(ofSession).toBe(ofRequest);
  await expect(app.sessions.destroy(undefined as never)).rejects.toMatchObject({
    code: "TARGET_INVALID",
  } satisfies Partial<SessionError>);
});
