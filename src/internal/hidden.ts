// Puts something of ours on an object of others: of Socket.IO, Engine.IO, ws or Node. Those who copy, log or send such
// objects (Socket.IO's adapters send `{ ...socket.handshake }` to other nodes) do not come across it.

/**
 * Sets a property that is read and written like any other, and is not enumerable.
 * socketio/socket.io-redis-adapter#421, socketio/socket.io-cluster-adapter#14
 */
export function setHidden(target: object, name: string | symbol, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false });
}

/**
 * Puts a function in an object's method's place. The returned call takes it away again, unless other code has put its
 * own before it meanwhile: so it must pass calls on from then on.
 */
export function replaceMethod(target: object, name: string, replacement: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(target, name);
  setHidden(target, name, replacement);
  return () => {
    if ((target as Record<string, unknown>)[name] !== replacement) return;
    if (before) Object.defineProperty(target, name, before);
    else delete (target as Record<string, unknown>)[name];
  };
}
