// The document's full app.js script on today's Express and Socket.IO. Changed: the require line, and the calls that they
// have no more (express.cookieParser, configure, express.session, app.router, listen, io.set), with express-session's
// own store: the module "sessionstore" refuses Express 5.
/* oxlint-disable eslint/no-var */
var express = require("express");
var expressSession = require("express-session");
var app = express();
var server = require("http").createServer(app);

//Setup cookie and session handlers
//Note: for sessionStore you can use any sessionStore module that has the .load() function
var cookieParser = require("cookie-parser")("secret");
var sessionStore = new expressSession.MemoryStore();

app.set("port", process.env.PORT || 3000);
//...truncate...//
app.use(cookieParser);
//make sure to use the same secret as you specified in your cookieParser
app.use(expressSession({ secret: "secret", store: sessionStore, resave: false, saveUninitialized: true }));

app.get("/", function (req, res) {
  res.send('<script src="/socket.io/socket.io.js"></script><script>io.connect();</script>Connected');
});

server.listen(app.get("port"), function () {
  console.log("Listening on port " + app.get("port"));
});

var io = new (require("socket.io").Server)(server);

//use session.io to get our session data
io.use(require("socket-session/compat/session.io")(cookieParser, sessionStore));

io.on("connection", function (socket) {
  //we now have access to our session data like so
  var session = socket.handshake.session;
  console.log(session);
});
