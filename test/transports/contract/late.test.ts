// Every kind of server on a store that answers, but never at once: a store in memory does, and hides what waits.
import { serverContract } from "../../contract/server.js";
import { MemoryDriver } from "../../../src/store/drivers/memory.js";
import { LiveStore } from "../../../src/store/live-store.js";
import { engineIo, socketIo, webSocket } from "../../support/servers.js";
import { late } from "../../support/stores.js";

const openStore = async (): Promise<LiveStore> => new LiveStore(late(new MemoryDriver(), 0));
for (const kind of [socketIo, engineIo, webSocket]) serverContract(kind, { ways: ["websocket"], openStore });
