// The five tests of docs/guide/testing.md pass on the runners that they are written for; jest is in test/frameworks.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Project } from "../support/project.js";
import { writeTests } from "./testing-page.js";

let project: Project;
beforeAll(() => {
  project = new Project({ packages: ["vitest"] });
});
afterAll(() => project.remove());

describe("the five tests of the page pass", () => {
  it("on node:test", async () => {
    expect(writeTests(project, `import { afterEach, test } from "node:test";`)).toBe(5);
    const { status, text } = await project.node("--test", "--test-reporter=tap");
    expect(text).toMatch(/^# pass 5$/m);
    expect(status).toBe(0);
  });

  it("on vitest", async () => {
    expect(writeTests(project, `import { afterEach, test } from "vitest";`)).toBe(5);
    const { status, text } = await project.node("node_modules/vitest/vitest.mjs", "run", "--no-color");
    expect(text).toMatch(/Tests {2}5 passed \(5\)/);
    expect(status).toBe(0);
  });
});

it("without a peer the client says what to install", async () => {
  const without = new Project({ without: ["socket.io-client", "ws"] });
  without.write({
    "client.js": `
      import { createTestClient } from "socket-session/testing";
      const client = createTestClient((request, response) => response.end());
      for (const open of ["socket", "webSocket"]) await client[open]().catch((error) => console.log(error.message));
      await client.close();`,
  });
  const { text } = await without.node("client.js");
  expect(text).toBe(
    "client.socket() needs the package socket.io-client. Install it: npm install --save-dev socket.io-client\n" +
      "client.webSocket() needs the package ws. Install it: npm install --save-dev ws\n",
  );
  without.remove();
});
