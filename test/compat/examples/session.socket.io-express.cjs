// The document's step by step example on today's Express and Socket.IO. Changed: the require line, and the calls that
// they have no more (express.cookieParser, connect's MemoryStore, app.configure, express.session, listen, clients).
/* oxlint-disable eslint/no-var */
var http = require("http"),
  expressSession = require("express-session"),
  express = require("express"),
  app = express();

var cookieParser = require("cookie-parser")("your secret sauce"),
  sessionStore = new expressSession.MemoryStore();

//hiding other express configuration
app.use(cookieParser);
app.use(expressSession({ secret: "your secret sauce", store: sessionStore, resave: false, saveUninitialized: true }));

var server = http.createServer(app),
  io = new (require("socket.io").Server)(server);

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
  io.sockets.sockets.forEach(function (socket) {
    // so far we have access only to client sockets
    sessionSockets.getSession(socket, function (err, session) {
      // getSession gives you an error object or the session for a given socket
      res.send(err ? err.message : session.foo);
    });
  });
});
