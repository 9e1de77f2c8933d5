#!/usr/bin/env node
// `npx socket-session check <url>`: prints what a running server looks like from outside. The exit code is 1 where
// something is a problem.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { clientFolder } from "../http/package-folder.js";
import { suggestion } from "../internal/check-options.js";
import { checkServer } from "./server.js";

const usage = `Usage: npx socket-session check <url> [options]

Asks a running server as a browser does, and says what is wrong in sentences.
The url is that of a page; one that makes a session shows its cookie.

  --routes <path>    where sessions.routes are mounted (/session)
  --path <path>      where Socket.IO is (/socket.io/)
  --no-sockets       there is no Socket.IO
  --origin <origin>  where the pages are, if on another origin than the server
  --cookie <name>    the name of the session cookie (connect.sid)
  --version          prints the version of socket-session
`;

const options = {
  routes: { type: "string" },
  path: { type: "string" },
  "no-sockets": { type: "boolean" },
  origin: { type: "string" },
  cookie: { type: "string" },
  help: { type: "boolean", short: "h" },
  version: { type: "boolean", short: "v" },
} as const;

/** What the command line says; in words of this command where it is wrong. */
function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options });
  } catch (error) {
    const { message } = error as Error;
    const [, unknown] = /^Unknown option '-*([^']*)'/.exec(message) ?? [];
    if (unknown === undefined) throw error;
    const known = Object.keys(options).map((name) => `--${name}`);
    throw new Error(`There is no option --${unknown}.${suggestion(`--${unknown}`, known)}`, { cause: error });
  }
}

async function readVersion(): Promise<string> {
  const manifest = await readFile(join(clientFolder, "../../package.json"), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

async function run(): Promise<void> {
  const { values, positionals } = readArguments();
  const [command, url, ...more] = positionals;
  if (values.help) return void process.stdout.write(usage);
  if (values.version) return void process.stdout.write(`${await readVersion()}\n`);
  if (command !== undefined && command !== "check")
    throw new Error(`There is no command ${command}.${suggestion(command, ["check"])}`);
  if (command === undefined || url === undefined || more.length > 0) throw new Error("What to check is missing.");
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new Error(`${url} is no address such as http://localhost:3000.`);
  const { routes, path, origin, cookie } = values;
  for (const [name, value] of Object.entries({ routes, path }))
    if (value?.startsWith("/") === false) throw new Error(`--${name} must be a path such as /session, not ${value}.`);
  if (origin !== undefined && (!URL.canParse(origin) || new URL(origin).origin !== origin))
    throw new Error(`--origin must be an origin such as https://app.example.com, not ${origin}.`);
  const check = await checkServer({ url, routes, path: values["no-sockets"] ? false : path, origin, cookie });
  process.stdout.write(`${String(check)}\n`);
  if (!check.isFine) process.exitCode = 1;
}

run().catch((error: unknown) => {
  process.stderr.write(`${(error as Error).message}\n\n${usage}`);
  process.exitCode = 1;
});
