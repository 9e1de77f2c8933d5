// Which stacks the tests run on: `npm test` tries today's, `npm run test:stacks` those of the older modules' years.
import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    readonly stacks: "today" | "older";
  }
}

export const isToday = inject("stacks") === "today";

/** Of these stacks, newest first, those of this run. */
export function ofThisRun<T>(stacks: readonly T[], isNew: (stack: T) => boolean): T[] {
  return stacks.filter((stack) => isNew(stack) === isToday);
}
