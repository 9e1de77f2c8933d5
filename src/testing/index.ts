// What an application's own tests need: a client like a browser, the time of sessions, storages that fail, and several
// nodes in one process. Imports no test runner.
export { clock, type TestClock } from "./clock.js";
export type { Duration } from "./duration.js";
