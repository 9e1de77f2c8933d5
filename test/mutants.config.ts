// The tests that `npm run test:mutants` judges a folder by: its own, and the promises that it alone keeps.
import { defineConfig } from "vitest/config";

const tests: Readonly<Record<string, readonly string[]>> = {
  "store/record": ["test/store/record/**/*.test.ts"],
  handshake: ["test/handshake/**/*.test.ts"],
  session: ["test/session/**/*.test.ts", "test/promises/{activity,ends,fresh-and-saved,outage}.test.ts"],
};

export default defineConfig({
  test: {
    include: [...(tests[process.env["MUTATED_FOLDER"] ?? ""] ?? Object.values(tests).flat())],
    // They start a server or a process of their own.
    exclude: ["test/session/{absent-ids,deep-data}.test.ts", "test/handshake/create.test.ts"],
    testTimeout: 20_000,
    expect: { poll: { timeout: 5000 } },
  },
});
