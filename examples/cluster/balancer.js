// A load balancer: each request and each WebSocket goes to the next node in turn. Knows nothing of sessions, and keeps
// nobody on a node: WebSocket needs that no more than sessions in a shared store do.
import { once } from "node:events";
import { createServer } from "node:http";
import { createProxyServer } from "http-proxy-3";

/**
 * Starts the load balancer.
 *
 * @param {number} port Where to listen; 0 takes a free port.
 * @param {readonly string[]} urls The nodes.
 */
export async function startBalancer(port, urls) {
  const nodes = [...urls];
  const proxy = createProxyServer();

  /** The next node; each gets its turn. */
  function next() {
    nodes.push(nodes.shift());
    return nodes.at(-1);
  }

  const server = createServer((req, res) => {
    const refuse = (status) => (res.headersSent ? res.destroy() : res.writeHead(status).end());
    if (nodes.length === 0) return refuse(503);
    proxy.web(req, res, { target: next() }, () => refuse(502));
  });
  server.on("upgrade", (req, socket, head) => {
    if (nodes.length === 0) return socket.destroy();
    proxy.ws(req, socket, head, { target: next() }, () => socket.destroy());
  });

  server.listen(port);
  await once(server, "listening");
  return {
    url: `http://localhost:${server.address().port}`,
    /** Sends nothing to this node any more. */
    leaveOut(url) {
      const at = nodes.indexOf(url);
      if (at >= 0) nodes.splice(at, 1);
    },
    /** Takes nobody in any more. */
    stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}
