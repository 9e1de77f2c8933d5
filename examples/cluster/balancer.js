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

  // A node that does not answer, or one side of a WebSocket that is gone without a word.
  proxy.on("error", (_error, _req, res) => {
    if ("headersSent" in res && !res.headersSent) res.writeHead(502).end();
    else res.destroy();
  });

  const server = createServer((req, res) => {
    if (nodes.length === 0) res.writeHead(503).end();
    else proxy.web(req, res, { target: next() });
  });
  server.on("upgrade", (req, socket, head) => {
    if (nodes.length === 0) socket.destroy();
    else proxy.ws(req, socket, head, { target: next() });
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
