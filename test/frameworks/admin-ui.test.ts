// The Admin UI of Socket.IO beside sessions: its page gets in by its own password, and nothing else is left open.
import { createRequire } from "node:module";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp } from "../support/app.js";
import { Browser, connected, next } from "../support/browser.js";
import { Project } from "../support/project.js";
import { compile, hold, inStacks, start, viaSocketIo } from "./host.js";

const { instrument } = createRequire(import.meta.url)("../stacks/node_modules/@socket.io/admin-ui") as {
  instrument: (io: object, options: object) => void;
};

const origin = "https://admin.socket.io";
const open = { auth: false, mode: "development" };
const auth = { username: "admin", password: "for development only" };

describe("as the page says", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project({ from: inStacks("@socket.io/admin-ui") });
  });
  afterAll(() => project.remove());

  it("compiles, in strict TypeScript", async () => {
    expect(await compile(project, "admin-ui.md", {})).toBe("");
  });

  it("the admin sees the sockets, without a session and from another origin, and a wrong password does not help", async () => {
    const url = await start(project, "admin-ui.md");
    const ada = new Browser(url);
    await ada.post("/login");
    const line = await ada.connect();
    const page = new Browser(url);
    const admin = page.socket("/admin", { auth, extraHeaders: { origin } });
    const shown = next<{ nsp: string; id: string }[]>(admin, "all_sockets");
    await connected(admin);
    expect(await shown).toContainEqual(expect.objectContaining({ nsp: "/", id: line.id }));
    const refused = page.socket("/admin", { auth: { ...auth, password: "wrong" }, extraHeaders: { origin } });
    await expect(connected(refused)).rejects.toThrow("invalid credentials");
    // What the admin does reaches the application's sockets.
    const gone = next(line, "disconnect");
    admin.emit("_disconnect", "/", false, line.id);
    await gone;
    page.close();
  });

  it("the application's own sockets have their sessions as ever", async () => {
    await hold(await start(project, "admin-ui.md"), viaSocketIo);
  });
});

describe("what is not the admin's stays guarded:", () => {
  const missing = { code: "SESSION_MISSING", retry: false };

  it("the other namespaces, for the admin, too", async () => {
    const { io, browser } = await startApp({ setup: ({ io }) => io.of("/chat") });
    instrument(io, open);
    const page = browser();
    await page.connect("/admin");
    expect(await page.refused("/")).toEqual(missing);
    expect(await page.refused("/chat")).toEqual(missing);
  });

  it("a namespace of the application's with the usual name", async () => {
    const { io, browser } = await startApp({ setup: ({ io }) => io.of("/admin").on("connection", () => undefined) });
    instrument(io, { ...open, namespaceName: "/watch" });
    expect(await browser().refused("/admin")).toEqual(missing);
    expect((await browser().connect("/watch")).connected).toBe(true);
  });

  it("the admin's namespace where the application has sockets there, too", async () => {
    const { io, browser } = await startApp();
    instrument(io, open);
    await browser().connect("/admin");
    io.of("/admin").on("connection", () => undefined);
    expect(await browser().refused("/admin")).toEqual(missing);
  });

  it("the admin's namespace where an attach() names it", async () => {
    const { io, sessions, browser, login } = await startApp();
    instrument(io, open);
    sessions.attach(io.of("/admin"));
    expect(await browser().refused("/admin")).toEqual(missing);
    expect((await (await login()).connect("/admin")).connected).toBe(true);
  });
});

it.each(["before", "after"])("the server may be attached %s it is instrumented", async (when) => {
  const { io, sessions, browser } = await startApp({ attach: false });
  if (when === "before") sessions.attach(io);
  instrument(io, { ...open, mode: "production" });
  if (when === "after") sessions.attach(io);
  expect((await browser().connect("/admin")).connected).toBe(true);
});
