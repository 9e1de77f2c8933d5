import { LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver, memoryStore } from "../../src/store/memory.js";
import { storeContract } from "../contract/store.js";
import { late } from "../support/stores.js";

storeContract("memory", () => ({ store: memoryStore() }));
storeContract("memory, 5 ms late", () => ({ store: new LiveStore(late(new MemoryDriver(), 5)) }));
