// The package in an application that has other versions of what it works with: it can be installed without flags, the
// oldest versions work, and what is too old is told at start.
import { afterAll, beforeAll, expect, it } from "vitest";
import { InstalledProject } from "../support/installed.js";
import { startPostgres } from "../support/postgres.js";

/** What the application has, by npm's own ranges. */
const others = {
  express: "4",
  "express-session": "1.17.0",
  pg: "8.11.0",
  react: "17",
  "react-test-renderer": "17",
  redis: "4",
  "socket.io": "2",
};

let project: InstalledProject;
beforeAll(async () => {
  project = new InstalledProject();
  const dependencies = Object.fromEntries(Object.entries(others).map(([name, range]) => [name, `~${range}`]));
  project.write({ "package.json": { name: "an-application", private: true, type: "module", dependencies } });
  await project.install();
}, 300_000);
afterAll(() => project.remove());

/** What a program of the application prints. */
async function output(program: string, value = ""): Promise<string> {
  const printed = await project.write({ "program.js": program }).shell(`node program.js "${value}"`);
  return printed.trim();
}

it("says at start that redis 4 is too old, and what to install", async () => {
  const said = await output(`
    import { createClient } from "redis";
    import { redisStore } from "socket-session/redis";
    try {
      redisStore({ client: createClient().on("error", () => {}) });
    } catch (error) {
      console.log(error.code, error.message);
    }`);
  expect(said).toMatch(/^STORE_CLIENT_INVALID .*npm install redis@6/);
});

it("says at start that Socket.IO 2 is too old", async () => {
  const said = await output(`
    import { createServer } from "node:http";
    import io from "socket.io";
    import { createSessions } from "socket-session";
    try {
      createSessions({ secret: "a secret for tests" }).attach(io(createServer()));
    } catch (error) {
      console.log(error.code, error.message);
    }
    process.exit();`);
  expect(said).toMatch(/^SERVER_UNSUPPORTED .*4\.6/s);
});

/** Logs in, changes, reads and logs out; prints what each request answered. */
const browser = `
  const { port } = server.address();
  let cookie = "";
  const said = [];
  for (const path of ["/login", "/count", "/count", "/logout", "/count"]) {
    const response = await fetch("http://127.0.0.1:" + port + path, { headers: { cookie } });
    cookie = response.headers.getSetCookie()[0]?.split(";")[0] ?? cookie;
    said.push(await response.text());
  }
  console.log(said.join(" "));
  server.close();
  server.closeAllConnections();
`;
const routes = `
  app.use(sessions.middleware);
  app.get("/login", (req, res, next) => req.session.regenerate((error) => {
    if (error) return next(error);
    req.session.count = 0;
    res.send("in");
  }));
  app.get("/count", async (req, res) => {
    if (req.session.count === undefined) return res.send("out");
    res.send(String(await sessions.update(req, (data) => ++data.count)));
  });
  app.get("/logout", (req, res, next) => req.session.destroy((error) => (error ? next(error) : res.send("bye"))));
  const server = app.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
`;

it("works with express-session 1.17", async () => {
  const said = await output(`
    import express from "express";
    import { createSessions } from "socket-session";
    const app = express();
    const sessions = createSessions({ secret: "a secret for tests" });
    ${routes}${browser}`);
  expect(said).toBe("in 1 2 bye out");
});

it("works with pg 8.11", async () => {
  const { url, server } = await startPostgres();
  try {
    const said = await output(
      `
      import express from "express";
      import pg from "pg";
      import { createSessions } from "socket-session";
      import { postgresStore } from "socket-session/postgres";
      const app = express();
      const pool = new pg.Pool({ connectionString: process.argv[2] }).on("error", () => {});
      const sessions = createSessions({ secret: "a secret for tests", store: postgresStore({ pool, createTable: true }) });
      ${routes}${browser}
      await sessions.close();
      await pool.end();`,
      url,
    );
    expect(said).toBe("in 1 2 bye out");
  } finally {
    await server.close();
  }
});

it("works with React 17: renders what the session is, and listens as long as it is there", async () => {
  const said = await output(`
    import { EventEmitter } from "node:events";
    import React from "react";
    import { act, create } from "react-test-renderer";
    import { useSession } from "socket-session/react";
    const session = Object.assign(new EventEmitter(), { view: { user: "ada" }, ended: undefined, expiring: undefined });
    function Account() {
      const { view, ended } = useSession(session);
      return React.createElement("b", null, ended ?? view.user);
    }
    let account;
    const shown = () => account.toJSON().children[0];
    const said = [React.version.split(".")[0]];
    act(() => void (account = create(React.createElement(Account))));
    said.push(shown());
    act(() => void ((session.view = { user: "bob" }), session.emit("change")));
    said.push(shown());
    act(() => void ((session.ended = "SESSION_DESTROYED"), session.emit("end")));
    said.push(shown());
    const listening = session.listenerCount("end");
    act(() => account.unmount());
    console.log(said.join(" "), listening > 0, session.listenerCount("end"));`);
  expect(said).toBe("17 ada bob SESSION_DESTROYED true 0");
});
