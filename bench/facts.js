// What the numbers were measured on. No host names and no paths.
import { readFileSync } from "node:fs";
import os from "node:os";

const packages = [
  "socket.io",
  "engine.io",
  "ws",
  "express",
  "express-session",
  "express-socket.io-session",
  "redis",
  "connect-redis",
  "pg",
  "connect-pg-simple",
];

export function facts() {
  const cpus = os.cpus();
  const [{ model }] = cpus;
  return [
    ["CPU", `${/^\d*$/.test(model.trim()) ? `${process.arch}, model not told` : model.trim()}, ${cpus.length} cores`],
    ["Memory", `${(os.totalmem() / 2 ** 30).toFixed(1)} GB`],
    ["System", `${os.type()} ${os.release().split("-", 1)[0]} ${os.arch()}`],
    ["Node", process.version],
    ["socket-session", versionIn("../package.json")],
    ...packages.map((name) => [name, versionIn(`../node_modules/${name}/package.json`)]),
  ];
}

function versionIn(path) {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")).version;
}
