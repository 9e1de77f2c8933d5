// express-socket.io-session, saving by hand.
import session from "express-session";
import sharedSession from "express-socket.io-session";
import { plainStore } from "./plain-store.js";

export async function start({ app, io, secret, storage }, { autoSave = false } = {}) {
  const store = await plainStore(storage);
  const sessionMiddleware = session({ secret, store, resave: true, saveUninitialized: true });
  app.use(sessionMiddleware);
  io.use(sharedSession(sessionMiddleware, { autoSave }));

  const read = ({ handshake }, done) =>
    handshake.session.reload((error) => (error ? fail(error) : done(handshake.session.user)));
  const write = ({ handshake }, done) => {
    handshake.session.count++;
    if (autoSave) done();
    else handshake.session.save((error) => (error ? fail(error) : done()));
  };
  return { read, write, writeStored: write };
}

function fail(error) {
  throw error;
}
