// Lets the data of sessions through the adapters of Socket.IO that clone what they send to other nodes: process.send()
// with "advanced" serialization, worker threads. A clone takes no proxies.
import { setHidden } from "../../internal/hidden.js";
import { untracked } from "../../session/plain-copy.js";
import { type Adapter, namespacesOf, type Server } from "./internals.js";

const mended = new WeakSet<object>();

/** Sees to all namespaces of a server, present and future: those without sessions may send data of one, too. */
export function sendUntracked(server: Server): void {
  if (mended.has(server)) return;
  mended.add(server);
  const mendAll = (): void => {
    for (const namespace of namespacesOf(server)) mend(namespace.adapter);
  };
  mendAll();
  server.on("new_namespace", (namespace) => mend(namespace.adapter));
  // It gives all namespaces new adapters.
  const { adapter } = server;
  setHidden(server, "adapter", (...values: unknown[]): unknown => {
    const returned = adapter.apply(server, values);
    mendAll();
    return returned;
  });
}

/** What adapters send with: those over Socket.IO's ClusterAdapter, and older ones. */
const cluster = ["doPublish", "doPublishResponse"] as const;
const older = ["publish"] as const;

/** Costs nothing before something cannot be sent: then it is sent again, without proxies. */
function mend(adapter: Adapter): void {
  if (mended.has(adapter)) return;
  mended.add(adapter);
  for (const name of typeof adapter.doPublish === "function" ? cluster : older) {
    const send = adapter[name];
    if (typeof send !== "function") continue;
    const sendAgain: typeof send = (...values) => {
      const again = (error: unknown): ReturnType<typeof send> => {
        const plain = isUnclonable(error) ? untracked(values) : undefined;
        if (plain === undefined) throw error;
        return send.apply(adapter, plain);
      };
      try {
        const sent = send.apply(adapter, values);
        return typeof sent?.then === "function" ? sent.then(undefined, again) : sent;
      } catch (error) {
        return again(error);
      }
    };
    setHidden(adapter, name, sendAgain);
  }
}

/** True where nothing was sent, as a value cannot be cloned: between processes that is an Error without a name. */
function isUnclonable(error: unknown): boolean {
  const { name, message } = error as Partial<Error>;
  return name === "DataCloneError" || message?.includes("could not be cloned") === true;
}
