// The programs that express-socket.io-session's document and package show, run as they stand there: changed are the name
// in their require(), and what is said at each.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { dirname, join } from "node:path";
import { compileFunction } from "node:vm";
import { describe, expect, onTestFinished, test } from "vitest";
import sharedsession from "../../../src/compat/express-socket.io-session.js";
import { Browser } from "../../support/browser.js";
import { parse } from "../../support/markdown.js";
import { type ClientSocket, openClient, received, type Row, stacksWith } from "../support/stacks.js";

const today = createRequire(import.meta.url);
const old = createRequire(new URL("../../stacks/package.json", import.meta.url));
const folder = dirname(today.resolve("express-socket.io-session/package.json"));
const { blocks } = parse(readFileSync(join(folder, "README.md"), "utf8"));

/** The program that stands under a heading of the document: the one with this text in it. */
function block(heading: string, text: string): string {
  const found = blocks.find(({ headings, code }) => headings.includes(heading) && code.includes(text));
  if (!found) throw new Error(`the document has no such program: ${heading}`);
  return found.code;
}

interface Program {
  readonly io: any;
  readonly browser: Browser;
  connect(namespace?: string): ClientSocket;
}

/** Runs a program of the older module, on whatever port is free instead of 3000. */
async function run({ stack, via }: Row, source: string): Promise<Program> {
  const { app: express, session, cookieParser } = stack.framework();
  const servers: Server[] = [];
  const ios: any[] = [];
  const socketIo = (http: Server): any => {
    const module = stack.version === "4" ? today("socket.io") : old(`socket.io-${stack.version}`);
    ios.push(stack.version === "3.1" ? new module.Server(http) : module(http));
    return ios[0];
  };
  const freePort = (app: never): Server => {
    const server = createServer(app);
    const listen = server.listen.bind(server);
    server.listen = () => listen(0, "127.0.0.1");
    servers.push(server);
    return server;
  };
  const modules: Record<string, unknown> = {
    express,
    "express-session": session,
    "cookie-parser": cookieParser,
    http: { createServer: freePort },
    "socket.io": socketIo,
    debug: today("debug"),
    "socket-session/compat/express-socket.io-session": sharedsession,
  };
  const require = (name: string): unknown => {
    if (!Object.hasOwn(modules, name)) throw new Error(`unexpected: ${name}`);
    return modules[name];
  };
  const renamed = source.replace(
    /require\((["'])(?:express-socket\.io-session|\.\.\/)\1\)/g,
    'require("socket-session/compat/express-socket.io-session")',
  );
  expect(renamed).not.toBe(source);
  compileFunction(renamed, ["require", "__dirname"])(require, join(folder, "example"));

  const [server] = servers as [Server];
  const connections = new Set<NetSocket>();
  server.on("connection", (socket) => connections.add(socket));
  if (!server.listening) await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = new Browser(url);
  onTestFinished(() => {
    ios[0].close();
    for (const connection of connections) connection.destroy();
  });
  return {
    io: ios[0],
    browser,
    connect: (namespace = "/") => openClient(stack.version, url, browser.cookie, { namespace, via }),
  };
}

/** What the server has for the next client that connects. */
async function sessionOfNext({ io, connect }: Program, namespace = "/"): Promise<any> {
  const connected = new Promise<any>((resolve) => io.of(namespace).once("connection", resolve));
  connect(namespace);
  return (await connected).handshake.session;
}

const rows = stacksWith("4", "3.1", "2.5", "1.7").filter(({ via }) => via === "websocket");
const prelude = `
  var app = require("express")(), server = require("http").createServer(app), io = require("socket.io")(server);`;

describe.each(rows)("$title", (row) => {
  test("the document's example: login and logout by events", async () => {
    const program = await run(row, block("Example", "var app"));
    await program.browser.fetch("/");
    const client = program.connect();
    await received(client, "connect");
    client.emit("login", { name: "ada" });
    await expect.poll(async () => (await sessionOfNext(program)).userdata).toEqual({ name: "ada" });
    client.emit("logout");
    await expect.poll(async () => (await sessionOfNext(program)).userdata).toBeUndefined();
  });

  test("the package's example: HTTP and events change one session", async () => {
    // Express 5 has no "*" path any more.
    const source = readFileSync(join(folder, "example/index.js"), "utf8");
    const program = await run(row, row.stack.name.endsWith("Express 5") ? source.replace("'*'", "'/{*all}'") : source);
    const { browser, connect } = program;
    expect(await (await browser.fetch("/")).text()).toContain("/socket.io/socket.io.js");
    expect((await browser.fetch("/login")).status).toBe(302);
    const client = connect();
    expect(await received(client, "sessiondata")).toMatchObject({ user: { username: "OSK" } });
    client.emit("logout");
    expect(await received(client, "logged_out")).toMatchObject({ user: {} });
    await expect.poll(() => received(connect(), "sessiondata")).toMatchObject({ user: {} });
    client.emit("login");
    expect(await received(client, "logged_in")).toMatchObject({ user: { username: "OSK" } });
    await expect.poll(() => received(connect(), "sessiondata")).toMatchObject({ user: { username: "OSK" } });
    await browser.fetch("/logout");
    await expect.poll(() => received(connect(), "sessiondata")).not.toHaveProperty("user");
  });

  test("the document's usage, with a namespace and with a cookie parser", async () => {
    const cookieParser = block("Usage", "cookie-parser")
      // The document leaves out what stands around it, and what the parser is given; it does not close the comment.
      .replaceAll(/^\.\.\.$/gm, "")
      .replace(/\(\{\s*\/\*.*\* \/\s*\}\)/, "()")
      .replace(/\(\)\);$/, "()));");
    const program = await run(
      row,
      [prelude, block("Usage", "Use express-session"), block("Usage", "/namespace"), cookieParser]
        .concat(`app.get("/set", function (req, res) { req.session.user = "ada"; res.end(); }); server.listen(3000);`)
        .join("\n"),
    );
    await program.browser.fetch("/set");
    expect(await sessionOfNext(program)).toMatchObject({ user: "ada" });
    const session = await sessionOfNext(program, "/namespace");
    expect(session).toMatchObject({ user: "ada" });
    session.count = 1;
    await expect.poll(() => sessionOfNext(program)).toMatchObject({ user: "ada", count: 1 });
  });

  test("the usage that its first document shows, in one line", async () => {
    const program = await run(
      row,
      `${prelude}
      var session = require("express-session")({ secret: "my-secret", resave: true, saveUninitialized: true });
      app.use(session);
      io.use(require("express-socket.io-session")(session));
      app.get("/set", function (req, res) { req.session.user = "ada"; res.end(); });
      server.listen(3000);`,
    );
    await program.browser.fetch("/set");
    expect(await sessionOfNext(program)).toMatchObject({ user: "ada" });
  });
});
