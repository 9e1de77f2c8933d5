// The types of find-postgres.js, for the tests.
import type { SpawnOptions } from "node:child_process";

export function preparePostgres(folder: string): {
  readonly command: string;
  argsFor(port: number, settings?: readonly string[]): string[];
  readonly options: SpawnOptions;
};
