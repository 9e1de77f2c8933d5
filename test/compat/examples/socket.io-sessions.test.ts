// The programs of socket.io-sessions' own document run as they are there: on the versions of its time with nothing
// changed but the name of the module, and on today's with those calls replaced that Express and Socket.IO have no more.
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Socket as NetSocket } from "node:net";
import { compileFunction } from "node:vm";
import { io as connect4 } from "socket.io-client";
import { describe, expect, onTestFinished, test } from "vitest";
import sio from "../../../src/compat/socket.io-sessions.js";
import { Browser } from "../../support/browser.js";
import { connect09 } from "../support/client-0.9.js";
import { isToday } from "../support/era.js";
import { run, scriptPath } from "../support/socket.io-sessions.js";
import type { ClientSocket } from "../support/stacks.js";

const document = {
  connect: `
var connect = require('connect'),
    io      = require('socket.io'),
    sio     = require('socket.io-sessions');

// Create the session store
var MemoryStore = require('connect/lib/middleware/session/memory');
mystore = new MemoryStore;

// Create the webserver
var app = connect.createServer(
    connect.cookieParser(),
    connect.session({secret:'faceroll here', store:mystore}),
    function(req, res, next){
        res.end('Hello World!');
        // var session = req.session;
    }
);

// Listen with Socket.IO
var iolistener = io.listen(app);

app.listen(3000); // Start the webserver
`,
  enable: `
// Make Socket.IO session aware
var socket = sio.enable({
  socket: iolistener,
  store:  mystore,
  parser: connect.cookieParser()
});
`,
  perConnection: `
socket.on('sconnection', function(client, session){
    // Client connected, session loaded
    client.on('message', function(message){ ... });
    client.on('disconnect', function(){
        // Client disconnected, session saved after this callback
    });
});
`,
  enablePerMessage: `
var socket = sio.enable({
  socket: io.listen(app),
  store:  mystore,
  parser: connect.cookieParser(),
  per_message: true   // <-- Add this option
});
`,
  perMessage: `
socket.on('sconnection', function(client){
    client.on('smessage', function(message, session){
        // Play with the session, it gets saved after this callback
    });
    client.on('disconnect', function(){ ... });
});
`,
  express: `
// Create the webserver
var app = express.createServer();
app.use(express.cookieParser());
app.use(express.session({ store: mystore });
app.get('/', function(req, res){
    res.send('Hello World!');
});
app.listen(3000);
`,
  invalid: `
socket.on('sinvalid', function(client){
    // Session invalid or not found in the store.
    // Send the client some instructions to refresh.
});
`,
  enableCutter: `
var socket = sio.enable({
  socket: io.listen(app),
  store:  session_store,
  cutter: myCookieCutter  // Note: cutter, not parser
});
`,
  connectCutter: `
var connectCookieCutter = function(req){
  var cookie = connect.utils.parseCookie(req.headers['cookie']);
  return cookie['connect.sid'];
};
`,
  expressCutter: `
var expressCookieCutter = function(req){
  var parser = express.cookieParser();
  parser(req, null, function(){});
  return req.cookies['connect.sid'];
};
`,
};

/** What the document leaves to the reader: something in the place of "...", and in that of comments. */
const filled = {
  perConnection: change(document.perConnection, [
    [
      "// Client connected, session loaded",
      "session.conns = session.conns + 1 || 1; client.send('conns ' + session.conns);",
    ],
    ["{ ... }", "{ session.last = message; client.send('got ' + message); }"],
    ["// Client disconnected, session saved after this callback", "session.left = true;"],
  ]),
  perMessage: change(document.perMessage, [
    [
      "// Play with the session, it gets saved after this callback",
      "client.send('ping ' + (session.pings = session.pings + 1 || 1));",
    ],
    ["{ ... }", "{}"],
  ]),
  invalid: change(document.invalid, [["// Send the client some instructions to refresh.", "client.send('refresh');"]]),
};

const renamed: Changes = [["require('socket.io-sessions')", "require('socket-session/compat/socket.io-sessions')"]];
/** The port of the document may be taken. */
const anyPort: Changes = [["app.listen(3000)", "app.listen(0)"]];

describe.each(isToday ? [] : ["Socket.IO 0.9, Connect 1.9"])("%s", () => {
  test("per connection", async () => {
    const program = change(document.connect, [...renamed, ...anyPort]);
    const app = await start(program + document.enable + filled.perConnection + filled.invalid, "app", requireOld);
    await drivePerConnection(app);
  });

  test("per message", async () => {
    // The TL;DR and this program listen where Socket.IO sessions are enabled.
    const program = change(document.connect, [...renamed, ...anyPort, ["var iolistener = io.listen(app);", ""]]);
    const app = await start(
      program + document.enablePerMessage + filled.perMessage + filled.invalid,
      "app",
      requireOld,
    );
    await drivePerMessage(app);
  });

  test("a cookie cutter", async () => {
    const program = change(document.connect, [...renamed, ...anyPort, ["var iolistener = io.listen(app);", ""]]);
    const enable = change(document.enableCutter, [
      ["session_store", "mystore"],
      ["myCookieCutter", "connectCookieCutter"],
    ]);
    const text = program + document.connectCutter + enable + filled.perConnection + filled.invalid;
    await drivePerConnection(await start(text, "app", requireOld));
  });
});

describe.each(isToday ? ["express", "express4"] : [])("Socket.IO 4, %s", (express) => {
  const names: Record<string, string> = { express };
  const requireNew = (name: string): unknown =>
    name === "socket-session/compat/socket.io-sessions" ? sio : today(names[name] ?? name);

  // What the document's Express program takes for granted.
  const head = change(
    `
var express = require('express'),
    io      = require('socket.io'),
    sio     = require('socket.io-sessions'),
    session = require('express-session'),
    cookieParser = require('cookie-parser');
mystore = new session.MemoryStore;
`,
    renamed,
  );
  const gone: Changes = [
    ["express.createServer()", "express()"],
    ["express.cookieParser()", "cookieParser('faceroll here')"],
    // The document lacks a parenthesis here, and the secret.
    [
      "express.session({ store: mystore });",
      "session({ store: mystore, secret: 'faceroll here', resave: true, saveUninitialized: true }));",
    ],
    ["app.listen(3000)", "var http = app.listen(0)"],
  ];
  const server = change(document.express, gone);
  const parser: Changes = [["connect.cookieParser()", "cookieParser('faceroll here')"]];
  const attach: Changes = [["io.listen(app)", "new io.Server(http)"]];

  test("per connection", async () => {
    const enable = change(document.enable, [...parser, ["iolistener", "new io.Server(http)"]]);
    await drivePerConnection(
      await start(head + server + enable + filled.perConnection + filled.invalid, "http", requireNew),
    );
  });

  test("per message", async () => {
    const enable = change(document.enablePerMessage, [...parser, ...attach]);
    await drivePerMessage(await start(head + server + enable + filled.perMessage + filled.invalid, "http", requireNew));
  });

  test("a cookie cutter", async () => {
    const cutter = change(document.expressCutter, [
      ["express.cookieParser()", "cookieParser('faceroll here')"],
      // Express signs its cookies by now.
      ["req.cookies['connect.sid']", "req.signedCookies['connect.sid']"],
    ]);
    const enable = change(document.enableCutter, [
      ...attach,
      ["session_store", "mystore"],
      ["myCookieCutter", "expressCookieCutter"],
    ]);
    const text = head + server + cutter + enable + filled.perConnection + filled.invalid;
    await drivePerConnection(await start(text, "http", requireNew));
  });
});

type Changes = readonly (readonly [there: string, instead: string])[];

/** Each of the changes must find its place. */
function change(text: string, changes: Changes): string {
  return changes.reduce((before, [there, instead]) => {
    expect(before).toContain(there);
    return before.replaceAll(there, instead);
  }, text);
}

const today = createRequire(import.meta.url);
const old = createRequire(new URL("../../stacks/package.json", import.meta.url));

function requireOld(name: string): unknown {
  // Node had it here when Connect 1.9 was written.
  (process as any).EventEmitter ??= today("node:events").EventEmitter;
  if (name === "socket-session/compat/socket.io-sessions") return sio;
  if (name !== "socket.io") return old(name.replace(/^connect/, "connect-1.9"));
  const io = old("socket.io-0.9");
  // Quiet, and without its server for Flash on a port of its own.
  return { ...io, listen: (app: unknown) => io.listen(app, { log: false, "flash policy server": false }) };
}

interface Program {
  readonly url: string;
  readonly isOld: boolean;
}

/** Runs a program; it is closed when the test is over. */
async function start(text: string, http: string, require: (name: string) => unknown): Promise<Program> {
  const server = compileFunction(`var mystore;${text}\nreturn ${http};`, ["require"])(require) as HttpServer;
  const connections = new Set<NetSocket>();
  server.on("connection", (socket) => connections.add(socket));
  onTestFinished(() => {
    server.close();
    for (const connection of connections) connection.destroy();
  });
  if (!server.listening) await once(server, "listening");
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, isOld: require === requireOld };
}

interface Page {
  send(message: string, done: () => void): void;
  disconnect(): void;
  /** The next message. */
  next(): Promise<unknown>;
}

/** A page of this browser, as the document's example page: its handshake has no cookie. */
async function open({ url, isOld }: Program, browser: Browser): Promise<Page> {
  const script = await (await browser.fetch(scriptPath)).text();
  const waiting: ((message: unknown) => void)[] = [];
  const messages: unknown[] = [];
  const client: any = run(script, () =>
    isOld
      ? connect09(url, "/", "websocket", {})
      : (connect4(url, { forceNew: true, reconnection: false }) as unknown as ClientSocket),
  );
  onTestFinished(() => client.disconnect());
  client.on("message", (message: unknown) => {
    const next = waiting.shift();
    if (next) next(message);
    else messages.push(message);
  });
  return {
    send: (message, done) => client.send(message, done),
    disconnect: () => client.disconnect(),
    next: () => new Promise((resolve) => (messages.length > 0 ? resolve(messages.shift()) : waiting.push(resolve))),
  };
}

async function drivePerConnection(app: Program): Promise<void> {
  const browser = new Browser(app.url);
  expect(await (await browser.fetch("/")).text()).toBe("Hello World!");
  const first = await open(app, browser);
  expect(await first.next()).toBe("conns 1");
  await new Promise<void>((resolve) => first.send("ping", resolve));
  expect(await first.next()).toBe("got ping");
  first.disconnect();
  // The next page counts on when the first one's session has been saved.
  await expect
    .poll(async () => {
      const page = await open(app, browser);
      const conns = await page.next();
      page.disconnect();
      return conns;
    })
    .toMatch(/^conns [2-9]/);
  expect(await (await open(app, new Browser(app.url))).next()).toBe("refresh");
}

async function drivePerMessage(app: Program): Promise<void> {
  const browser = new Browser(app.url);
  expect(await (await browser.fetch("/")).text()).toBe("Hello World!");
  const [first, second] = [await open(app, browser), await open(app, browser)];
  for (const [at, page] of [first, second, first].entries()) {
    await new Promise<void>((resolve) => page.send("ping", resolve));
    expect(await page.next()).toBe(`ping ${at + 1}`);
  }
  expect(await (await open(app, new Browser(app.url))).next()).toBe("refresh");
}
