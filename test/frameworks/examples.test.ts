// The examples that have a framework, from the packed package, their pages in a real Chromium.
import { join } from "node:path";
import { build } from "esbuild";
import type { Browser as Chromium } from "playwright-core";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import { launchChromium } from "../support/chromium.js";
import { copyExample, manifestOf, readExample, startExample } from "../support/example.js";
import type { Project } from "../support/project.js";
import { driveTwoTabs } from "../support/two-tabs.js";
import { inStacks } from "./host.js";

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

/** For one test. */
function copy(...values: Parameters<typeof copyExample>): Project {
  const project = copyExample(...values);
  onTestFinished(() => project.remove());
  return project;
}

/** What each of these examples does: two tabs share the session, HTTP reads what a socket wrote, a logout closes both. */
async function drive(name: string, project: Project): Promise<void> {
  const { url, server } = await startExample(name, project);
  onTestFinished(() => server.stop());
  await driveTwoTabs(chromium, url, async ({ request }) => {
    await expect.poll(async () => (await request.get(`${url}/likes`)).json()).toEqual({ likes: 1 });
  });
}

it("fastify", async () => {
  await drive("fastify", copy("fastify", { from: inStacks("fastify") }));
});

it("nest", async () => {
  const { dependencies } = manifestOf("nest");
  const own = Object.keys(dependencies).filter((name) => /^@nestjs|^reflect-metadata$|^rxjs$/.test(name));
  const project = copy("nest", {
    from: Object.fromEntries(own.map((name) => [name, join("test/stacks/nest-12/node_modules", name)])),
  });
  const compiled = await project.node(project.path("node_modules/typescript/bin/tsc"), "-p", ".");
  expect(compiled).toEqual({ status: 0, text: "" });
  await drive("nest", project);
});

/** What builds examples/react into its folder `dist`. */
const bundlers = {
  Vite: async (project: Project) => {
    const built = await project.node(project.path("node_modules/vite/bin/vite.js"), "build");
    expect(built.status, built.text).toBe(0);
  },
  // It leaves the page to its user.
  esbuild: async (project: Project) => {
    project.write({ "dist/index.html": readExample("react/index.html").replace("/src/main.jsx", "/main.js") });
    const options = { bundle: true, minify: true, format: "esm", jsx: "automatic" } as const;
    await build({ ...options, absWorkingDir: project.dir, entryPoints: ["src/main.jsx"], outfile: "dist/main.js" });
  },
};

/** Where each React is installed. */
const places = { 18: "test/stacks/react-18", 19: "test/stacks/vite" };

const rows = Object.entries(places).flatMap(([react, place]) =>
  Object.entries(bundlers).map(([bundler, bundle]) => ({ react, place, bundler, bundle })),
);

it.each(rows)("react: with React $react, built by $bundler", async ({ react, place, bundle }) => {
  const from = (folder: string, ...names: string[]): Record<string, string> =>
    Object.fromEntries(names.map((name) => [name, join(folder, "node_modules", name)]));
  const project = copy("react", {
    from: { ...from("test/stacks/vite", "vite", "@vitejs/plugin-react"), ...from(place, "react", "react-dom") },
  });
  const versions = `[require("react"), require("react-dom")].map(({ version }) => version.split(".")[0]).join()`;
  expect(await project.node("-p", versions)).toEqual({ status: 0, text: `${react},${react}\n` });
  await bundle(project);
  await drive("react", project);
});
