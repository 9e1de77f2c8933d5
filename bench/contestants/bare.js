// Socket.IO without any session: what everything else is compared with.

/** Keeps a count on the socket, so that its writing events do the same work but the session's. */
export function start() {
  const write = (socket, done) => {
    socket.data.count = (socket.data.count ?? 0) + 1;
    done();
  };
  return { read: (_socket, done) => done("ada"), write, writeStored: write };
}
