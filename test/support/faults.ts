// What would have ended the process: a test that tries to bring that about expects an empty list.
import { onTestFinished } from "vitest";

/** Uncaught exceptions and unhandled rejections from now on. */
export function faults(): unknown[] {
  const found: unknown[] = [];
  const note = (error: unknown): void => void found.push(error);
  for (const event of ["uncaughtException", "unhandledRejection"] as const) {
    process.on(event, note);
    onTestFinished(() => void process.off(event, note));
  }
  return found;
}
