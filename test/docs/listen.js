// Preloaded into a program of the README: whatever port it asks for it gets a free one, which the test is told.
import { Server } from "node:net";

const { listen } = Server.prototype;
Server.prototype.listen = function listenAnywhere(...args) {
  this.once("listening", () => process.send({ port: this.address().port }));
  const callback = args.find((arg) => typeof arg === "function");
  return Reflect.apply(listen, this, [{ port: 0, host: "127.0.0.1" }, callback]);
};
