// The oldest Socket.IO that is supported, held to the same promises.
import { Server } from "socket.io";
import { Server as Oldest } from "socket.io-4.6.0";
import { expect, test, vi } from "vitest";
import { serverContract } from "../../contract/server.js";
import { socketIo } from "../../support/servers.js";

vi.mock("socket.io", () => import("socket.io-4.6.0"));

test("these tests run with Socket.IO 4.6.0", () => expect(Server).toBe(Oldest));

serverContract({ ...socketIo, name: "Socket.IO 4.6.0" }, { ways: ["websocket"] });
