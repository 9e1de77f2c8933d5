// What TypeScript is told of Engine.IO: the server that attach() takes. Nothing at run time.

/** A `Server` of the package `engine.io`, as far as its shape tells. */
export interface EngineIoServer {
  readonly opts: object;
  handleRequest(...values: never[]): unknown;
  generateId(...values: never[]): unknown;
}
