// The document's example for Connect. Changed: the require line, and what was missing for it to run (http, the name of
// the session middleware, a bracket).
/* oxlint-disable eslint/no-var */
var http = require("http");
var connect = require("connect");
var eio = require("engine.io");
var eioSession = require("socket-session/compat/engine.io-session");

var cookieParser = connect.cookieParser();
var app = connect();
var sessionStore = new connect.session.MemoryStore();
var sessionKey = "sid";
var sessionSecret = "your secret here";

app.use(cookieParser);
app.use(connect.session({ store: sessionStore, key: sessionKey, secret: sessionSecret }));

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
