// The document's example for Express, with today's Express: its cookie parser and sessions are modules of their own.
/* oxlint-disable eslint/no-var */
var http = require("http");
var express = require("express");
var parser = require("cookie-parser");
var expressSession = require("express-session");
var eio = require("engine.io");
var eioSession = require("socket-session/compat/engine.io-session");

var app = express();
var cookieParser = parser();
var sessionStore = new expressSession.MemoryStore();
var sessionKey = "sid";
var sessionSecret = "your secret here";

app.use(cookieParser);
app.use(
  expressSession({
    store: sessionStore,
    name: sessionKey,
    secret: sessionSecret,
    resave: false,
    saveUninitialized: true,
  }),
);

var httpServer = http.createServer(app).listen(3000);
var server = eio.attach(httpServer);

server.on(
  "connection",
  eioSession({
    cookieParser: cookieParser,
    store: sessionStore,
    key: sessionKey,
    secret: sessionSecret,
  }),
);

server.on("session", function (socket, session) {
  // Output session data.
  console.log(session);
});
