// This library. With a store given, wrapped by liveStore(); else with its own memory store.
import { createSessions, liveStore } from "socket-session";

export function start({ app, io, secret, store }) {
  const sessions = createSessions({ secret, ...(store && { store: liveStore(store) }) });
  app.use(sessions.middleware);
  sessions.attach(io);
  return {
    read: (socket, done) => done(socket.session.user),
    write(socket, done) {
      socket.session.count++;
      done();
    },
    async writeStored(socket, done) {
      socket.session.count++;
      await socket.session.save();
      done();
    },
  };
}
