// Two workers of a real cluster, with Socket.IO's cluster adapter. The primary process passes on what the workers say.
import cluster from "node:cluster";
import { createAdapter, setupPrimary } from "@socket.io/cluster-adapter";
import { startNode } from "./node.js";

if (cluster.isPrimary) {
  cluster.setupPrimary({ serialization: "advanced" });
  setupPrimary();
  cluster.on("message", (_worker, message) => process.send(message));
  cluster.on("exit", () => process.send({ exit: true }));
  process.on("disconnect", () => process.exit());
  for (let at = 0; at < 2; at++) cluster.fork();
} else {
  const { url } = await startNode(createAdapter());
  process.send({ url });
}
