// The client helper as a script, for pages without a bundler. Served beside the session routes, as Socket.IO serves its
// client.
import { hash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { clientFolder } from "./package-folder.js";

interface Script {
  readonly text: Buffer;
  readonly tag: string;
}

let script: Promise<Script> | undefined;

async function load(): Promise<Script> {
  const text = await readFile(join(clientFolder, "socket-session.min.js"));
  return { text, tag: `"${hash("sha256", text, "base64url").slice(0, 22)}"` };
}

/** Answers with the script, or with 304 where the browser has it. It says nothing about any session. */
export async function sendClientScript(request: IncomingMessage, response: ServerResponse): Promise<void> {
  script ??= load();
  const { text, tag } = await script;
  response.setHeader("ETag", tag);
  response.setHeader("Cache-Control", "no-cache");
  response.setHeader("X-Content-Type-Options", "nosniff");
  if (request.headers["if-none-match"] === tag) {
    response.writeHead(304).end();
    return;
  }
  response.setHeader("Content-Type", "text/javascript; charset=utf-8");
  response.end(request.method === "HEAD" ? undefined : text);
}
