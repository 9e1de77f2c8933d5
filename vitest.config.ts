import { defineConfig } from "vitest/config";
import { install } from "./scripts/install.js";

// Here, so that `npx vitest run FILE` works right after `npm ci`, too.
install();

// The suites of `npm test` and those with commands of their own, see scripts/test.js.
const suites = {
  // They look at what is shipped, and get the packed tarball from a global setup, which others need not wait for.
  shipped: ["test/{package,types,docs}/**/*.test.ts"],
  // The client and the examples in a real Chromium. What is not listed here, the client with React, is part of `npm test`.
  browser: [
    "test/e2e/{chat,chat-lessons,chat-looks,client,client-renewal,client-sites,client-stream,cluster,socket.io-sessions}.test.ts",
  ],
  // Nodes that share a storage, and storages that fail, refuse and come back.
  nodes: [
    "test/nodes/**/*.test.ts",
    "test/store/{drivers/{refusals,ioredis,redis-sentinel},commands/lost-answers}.test.ts",
    "test/transports/{adapters,contract/stores}.test.ts",
  ],
  // Engine.IO as the oldest Socket.IO has it (that Socket.IO itself is part of `npm test`), the older modules' types,
  // an application with other versions of what the package works with, and each TypeScript and runtime that users have.
  oldest: [
    "test/transports/contract/engine.io-6.4.test.ts",
    "test/package/{compat,beside,typescript,runtimes,start}.test.ts",
  ],
  // The site of docs/, built and in a real Chromium.
  site: ["test/docs/site.test.ts"],
  // The frameworks that have a page, as it says.
  frameworks: ["test/frameworks/**/*.test.ts"],
  // Minutes of failing nodes, and thousands of connections.
  endurance: ["test/chaos/chaos.test.ts", "test/promises/{leaks,view-leaks}.test.ts"],
};

export default defineConfig({
  test: {
    testTimeout: 20_000,
    hookTimeout: 60_000,
    expect: { poll: { timeout: 10_000 } },
    // Four workers on two cores: many tests wait for time to pass.
    maxWorkers: 4,
    provide: { stacks: "today" },
    projects: [
      {
        extends: true,
        test: {
          name: "library",
          include: ["test/**/*.test.ts"],
          // Of the frameworks, packages that bring their tests are installed below test/.
          exclude: ["**/node_modules/**", ...Object.values(suites).flat()],
          globalSetup: "test/support/shared-servers.ts",
        },
      },
      // Each compiles a project or more: seconds on an idle machine, many on a busy one.
      {
        extends: true,
        test: {
          name: "shipped",
          include: suites.shipped,
          exclude: [...suites.oldest, ...suites.site],
          globalSetup: "test/support/packed.ts",
          testTimeout: 90_000,
        },
      },
      // What the global setup installs: the stacks of earlier years for the older modules, and the frameworks of the pages.
      {
        extends: true,
        test: {
          name: "stacks",
          include: ["test/compat/**/*.test.ts", ...suites.frameworks, ...suites.oldest],
          exclude: ["test/compat/damaged-records.test.ts"],
          globalSetup: ["test/compat/support/install.ts", "test/support/packed.ts", "test/support/shared-servers.ts"],
          testTimeout: 90_000,
          provide: { stacks: "older" },
        },
      },
      { extends: true, test: { name: "site", include: suites.site, testTimeout: 60_000 } },
      { extends: true, test: { name: "browser", include: suites.browser } },
      // No suite: `npm run picture` makes the README's picture with it.
      { extends: true, test: { name: "picture", include: ["test/e2e/picture.ts"] } },
      { extends: true, test: { name: "nodes", include: suites.nodes, globalSetup: "test/support/shared-servers.ts" } },
      { extends: true, test: { name: "endurance", include: suites.endurance } },
    ],
  },
});
