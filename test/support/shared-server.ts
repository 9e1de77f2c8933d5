// One of the servers that the tests of a run share.
import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** Where the global setup of shared-servers.ts answers. */
    readonly sharedServers: string;
  }
}

/** What there is to know of it; starts it where it does not run yet. */
export async function sharedServer<T>(name: "redis" | "postgres" | "redis-cluster" | "redis-sentinel"): Promise<T> {
  const response = await fetch(`${inject("sharedServers")}/${name}`);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}
