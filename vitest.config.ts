import { defineConfig } from "vitest/config";

// Those that look at what is shipped: they get the packed tarball from a global setup, which the others need not wait for.
const shipped = ["test/{package,types,docs}/**/*.test.ts"];

export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    // Three workers on two cores: many tests wait for time to pass, but a real browser and servers must not starve.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: "library",
          include: ["test/**/*.test.ts"],
          exclude: shipped,
          globalSetup: "test/compat/support/install.ts",
        },
      },
      // Each compiles a project or more: seconds on an idle machine, many on a busy one.
      {
        extends: true,
        test: { name: "shipped", include: shipped, globalSetup: "test/support/packed.ts", testTimeout: 90_000 },
      },
    ],
  },
});
