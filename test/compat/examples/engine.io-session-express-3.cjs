// The document's example for Express. Changed: the require line, and what was missing for it to run (http, the name of
// the Engine.IO module, a bracket).
/* oxlint-disable eslint/no-var */
var http = require("http");
var express = require("express");
var eio = require("engine.io");
var eioSession = require("socket-session/compat/engine.io-session");

var app = express();
var cookieParser = express.cookieParser();
var sessionStore = new express.session.MemoryStore();
var sessionKey = "sid";
var sessionSecret = "your secret here";

app.use(cookieParser);
app.use(express.session({ store: sessionStore, key: sessionKey, secret: sessionSecret }));

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
