// Starts a demo, `npm start` the chat. Its own package.json asks for socket-session as any application's does; here that
// is this folder, and all else is installed above it: nothing more comes from the network.
import { lstatSync, mkdirSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";

const examples = join(import.meta.dirname, "../examples");
const programs = { chat: "chat/server.js", cluster: "cluster/start.js" };

const link = join(examples, "chat/node_modules/socket-session");
if (!lstatSync(link, { throwIfNoEntry: false })) {
  mkdirSync(dirname(link), { recursive: true });
  symlinkSync(join(import.meta.dirname, ".."), link, "junction");
}
await import(new URL(`../examples/${programs[process.argv[2]]}`, import.meta.url));
