// Socket.IO's own guide: https://socket.io/how-to/use-with-express-session
import session from "express-session";
import { plainStore } from "./plain-store.js";

export async function start({ app, io, secret, storage }) {
  const store = await plainStore(storage);
  const sessionMiddleware = session({ secret, store, resave: true, saveUninitialized: true });
  app.use(sessionMiddleware);
  io.engine.use(sessionMiddleware);

  // reload() puts a new session object on the request.
  const fresh = ({ request }, use) => request.session.reload((error) => (error ? fail(error) : use(request.session)));
  const write = (socket, done) =>
    fresh(socket, (current) => {
      current.count++;
      current.save((error) => (error ? fail(error) : done()));
    });
  return {
    read: (socket, done) => fresh(socket, (current) => done(current.user)),
    write,
    writeStored: write,
  };
}

function fail(error) {
  throw error;
}
