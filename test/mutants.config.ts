// The tests that `npm run test:mutants` judges a folder by: its own, and the promises that it alone keeps.
import { defineConfig } from "vitest/config";

const folder = process.env["MUTATED_FOLDER"] ?? "";
const file = process.env["MUTATED_FILE"] ?? "*";

const tests: Readonly<Record<string, readonly string[]>> = {
  "store/record": ["test/store/record/**/*.test.ts"],
  handshake: ["test/handshake/**/*.test.ts"],
  // Each file has a test of its own.
  session: [`test/session/${file}.test.ts`],
  "transports/stream": [`test/transports/stream/${file}.test.ts`],
};

export default defineConfig({
  test: {
    include: [...(tests[folder] ?? Object.values(tests).flat())],
    // They start a server or a process of their own, or take many turns.
    exclude: [
      "test/handshake/create.test.ts",
      "test/session/{client-named-fields,dead-cookies,deep-data,heard,lease,lost,tracked-data}.test.ts",
    ],
    testTimeout: 20_000,
    expect: { poll: { timeout: 5000 } },
  },
});
