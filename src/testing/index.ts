/**
 * What an application's own tests need: a client like a browser, the time of sessions, storages that fail, and several
 * nodes in one process. Imports no test runner.
 *
 * @module socket-session/testing
 */
export { clock, type TestClock } from "./clock.js";
export type { Duration } from "./duration.js";
export type { CookieJar } from "./cookie-jar.js";
export type { StreamEvent, TestStream } from "./event-stream.js";
export { ConnectionRefused } from "./refusal.js";
export type { Testable } from "./served-app.js";
export type { TestSocket, TestSocketOptions } from "./socket-io.js";
export { createTestClient, type TestClient, type TestClientOptions } from "./test-client.js";
export type { TestWebSocket, TestWebSocketOptions } from "./web-socket.js";
export { faultyStore, type FaultyStore } from "./faulty-store.js";
export { sharedMemory, type SharedMemory } from "./shared-memory.js";
