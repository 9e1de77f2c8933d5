// Closes servers at the end of a test.
import type { Server as HttpServer } from "node:http";
import type { Server } from "socket.io";

/** Closes Socket.IO and the HTTP server below it, which would wait for connections that no request came over. */
export async function closeServers(io: Server, http: HttpServer): Promise<void> {
  // Only newer versions of Socket.IO return a promise.
  const closed = new Promise<void>((resolve) => void io.close(() => resolve()));
  http.closeAllConnections();
  // One that was about to be there is there a moment later.
  const again = setInterval(() => http.closeAllConnections(), 100);
  await closed;
  clearInterval(again);
}
