// Engine.IO as Socket.IO 4.6.0 has it: the oldest one that is supported, held to the same promises.
import { createRequire } from "node:module";
import { vi } from "vitest";
import { serverContract } from "../../contract/server.js";
import { engineIo } from "../../support/servers.js";

vi.mock("engine.io", () => {
  const nextToSocketIo = createRequire(createRequire(import.meta.url).resolve("socket.io-4.6.0"));
  return nextToSocketIo("engine.io") as object;
});

serverContract({ ...engineIo, name: "Engine.IO 6.4" }, { ways: ["polling", "websocket"] });
