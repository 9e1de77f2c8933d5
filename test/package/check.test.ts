// `npx socket-session check`, as it is shipped: prints sentences, ends with 0 or 1, and needs no other package.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, inject, test } from "vitest";
import { startApp } from "../support/app.js";
import { manifest } from "../support/project.js";

const { dir } = inject("packed");
const program = join(dir, (manifest as unknown as { bin: Record<string, string> }).bin["socket-session"] ?? "");

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: (error?.code as number | undefined) ?? 0, stdout, stderr });
    });
  });
}

test("is a program that a shell can start", () => {
  expect(readFileSync(program, "utf8")).toMatch(/^#!\/usr\/bin\/env node\n/);
});

test("a server without problems ends it with 0, one with a problem with 1", async () => {
  const app = await startApp({
    sessions: { cookie: { sameSite: "lax", maxAge: 60_000 } },
    setup: ({ app: express, sessions }) => {
      express.use("/live", sessions.routes);
      express.get("/", (req, res) => {
        req.session.user = "ada";
        res.send("hello");
      });
    },
  });
  const fine = await run("check", app.url, "--routes", "/live");
  expect(fine).toMatchObject({ code: 0, stderr: "" });
  expect(fine.stdout).toContain("fine     sockets: A socket comes in with the session of its page.");
  expect(fine.stdout).toMatch(/Problems: 0, hints: \d, fine: \d\.\n$/);
  const wrong = await run("check", app.url, "--routes", "/elsewhere");
  expect(wrong).toMatchObject({ code: 1, stderr: "" });
  expect(wrong.stdout).toMatch(/^problem {2}routes: The session routes are not at \/elsewhere/);
  expect(await run("check", app.url, "--no-sockets")).toMatchObject({ code: 0 });
});

test("without an address, and with an option that is none, it says how it is used", async () => {
  for (const args of [[], ["check"], ["check", "localhost:3000"], ["check", "http://localhost", "--colour"]]) {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("Usage: npx socket-session check <url>");
  }
  const wrong = [
    ["--routes", "session", "a path such as /session"],
    ["--origin", "app.example.com", "an origin such as https://app.example.com"],
  ];
  for (const [name = "", value = "", says] of wrong)
    expect((await run("check", "http://localhost", name, value)).stderr).toContain(`${name} must be ${says}`);
  expect((await run("chek", "http://localhost")).stderr).toMatch(/^There is no command chek\. Did you mean check\?/);
  expect((await run("check", "http://localhost", "--route", "/live")).stderr).toMatch(
    /^There is no option --route\. Did you mean --routes\?/,
  );
  expect(await run("--help")).toMatchObject({ code: 0, stderr: "" });
});

test("says how it is used, and which version it is, when asked", async () => {
  for (const asked of ["--help", "-h"])
    expect(await run(asked)).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Usage: npx/), stderr: "" });
  const { version } = manifest as unknown as { version: string };
  for (const asked of ["--version", "-v"])
    expect(await run(asked)).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});
