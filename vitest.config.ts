import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Two workers: the tests drive real servers and a real browser, and should not starve each other.
    maxWorkers: 2,
  },
});
