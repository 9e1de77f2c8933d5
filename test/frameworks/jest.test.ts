// The five tests of docs/guide/testing.md pass on jest, which takes the package's CommonJS build.
import { expect, it } from "vitest";
import { writeTests } from "../docs/testing-page.js";
import { Project } from "../support/project.js";
import { inStacks } from "./host.js";

/** The project of a user of jest, whose tests are compiled to CommonJS, as by most presets. */
const files = {
  "package.json": {
    name: "a-users-project",
    private: true,
    jest: { transform: { "\\.js$": "<rootDir>/compile.cjs" } },
  },
  "compile.cjs": `
    const { transformSync } = require("esbuild");
    exports.process = (text) => ({ code: transformSync(text, { format: "cjs" }).code });`,
};

it("the five tests of the page pass on jest", async () => {
  const project = new Project({ packages: ["esbuild"], from: inStacks("jest") }).write(files);
  // What each test needs is global there.
  expect(writeTests(project, "")).toBe(5);
  const { status, text } = await project.node("node_modules/jest/bin/jest.js", "--ci");
  expect(text).toMatch(/^Tests: +5 passed, 5 total$/m);
  expect(text).not.toMatch(/did not exit/);
  expect(status).toBe(0);
  project.remove();
});
