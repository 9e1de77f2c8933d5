// The document's step by step example for Express 3, with what it says on saving, namespaces and other clients put in.
// Changed: the require line. Added: what sends the values out, so that they can be seen.
/* oxlint-disable eslint/no-var */
var http = require("http"),
  connect = require("connect"),
  express = require("express"),
  app = express();

var cookieParser = express.cookieParser("your secret sauce"),
  sessionStore = new connect.middleware.session.MemoryStore();

app.configure(function () {
  //hiding other express configuration
  app.use(cookieParser);
  app.use(express.session({ secret: "your secret sauce", store: sessionStore }));
});

var server = http.createServer(app),
  io = require("socket.io").listen(server);

var SessionSockets = require("socket-session/compat/session.socket.io"),
  sessionSockets = new SessionSockets(io, sessionStore, cookieParser);

sessionSockets.on("connection", function (err, socket, session) {
  if (err) return socket.emit("failed", err.message);
  session.foo = "bar";
  //at this point the value is not yet saved into the session
  session.save();
  //now you can read session.foo from your express routes or connect middlewares
  socket.emit("saved");
});

sessionSockets.of("/chat").on("connection", function (err, socket, session) {
  //the socket here will address messages only to the /chat namespace
  socket.emit("foo", session.foo);
});

app.get("/foo", function (req, res) {
  res.send(req.session.foo);
});

app.get("/clients", function (req, res) {
  io.sockets.clients().forEach(function (socket) {
    // so far we have access only to client sockets
    sessionSockets.getSession(socket, function (err, session) {
      // getSession gives you an error object or the session for a given socket
      res.send(err ? err.message : session.foo);
    });
  });
});
