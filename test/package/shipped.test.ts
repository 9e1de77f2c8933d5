// The package as npm would publish it, in a user's project.
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Project } from "../support/project.js";

const packed = inject("packed");

describe("the tarball", () => {
  it("holds dist, the pages of the errors, which messages name, the manifest and the papers, nothing else", () => {
    const papers = ["CHANGELOG.md", "LICENSE", "README.md", "SECURITY.md", "package.json"];
    const pages = readdirSync("docs/errors").map((page) => `docs/errors/${page}`);
    const others = packed.files.filter((file) => !papers.includes(file) && !pages.includes(file));
    expect(packed.files).toEqual(expect.arrayContaining(pages));
    expect(others.filter((file) => !/^dist\/(esm|cjs)\/[a-z0-9./-]+\.(js|d\.ts)$/.test(file))).toEqual([
      "dist/cjs/package.json",
      "dist/client/socket-session.min.js",
    ]);
    expect(packed.files).toContain("LICENSE");
  });

  it("has the same modules for import and require, each with its types", () => {
    const modules = (format: string): string[] =>
      packed.files
        .filter((file) => file.startsWith(`dist/${format}/`) && !file.endsWith(".json"))
        .map((file) => file.slice(`dist/${format}/`.length));
    expect(modules("esm")).toEqual(modules("cjs"));
    const scripts = modules("esm").filter((file) => file.endsWith(".js"));
    expect(modules("esm").filter((file) => file.endsWith(".d.ts"))).toEqual(
      scripts.map((file) => file.replace(/\.js$/, ".d.ts")),
    );
  });

  it("has no any in its types", () => {
    const leaks = packed.files
      .filter((file) => file.endsWith(".d.ts"))
      .filter((file) => {
        const text = readFileSync(join(packed.dir, file), "utf8");
        return /\bany\b/.test(text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""));
      });
    expect(leaks).toEqual([]);
  });
});

describe("at run time", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
  });
  afterAll(() => project.remove());

  const names = ["SessionError", "createSessions", "liveStore", "memoryStore"];

  it("exports the public names", async () => {
    project.write({ "names.js": `console.log(JSON.stringify(Object.keys(await import("socket-session"))))` });
    const { text } = await project.node("names.js");
    expect((JSON.parse(text) as string[]).toSorted()).toEqual(names);
  });

  it("has the stores at paths of their own, for import and require, without redis and pg installed", async () => {
    const plain = new Project({ without: ["redis", "pg"] });
    plain.write({
      "stores.js": `
        import { createRequire } from "node:module";
        const require = createRequire(import.meta.url);
        for (const [path, name] of [["redis", "redisStore"], ["postgres", "postgresStore"]]) {
          const imported = await import("socket-session/" + path);
          if (imported[name] !== require("socket-session/" + path)[name]) throw new Error(path);
          try {
            imported[name]({});
          } catch (error) {
            console.log(Object.keys(imported).join(), error.code);
          }
        }`,
    });
    expect(await plain.node("stores.js")).toEqual({
      status: 0,
      text: "redisStore STORE_CLIENT_INVALID\npostgresStore STORE_CLIENT_INVALID\n",
    });
    plain.remove();
  });

  it("gives import and require one and the same", async () => {
    project.write({
      "same.js": `
        import { createRequire } from "node:module";
        import * as imported from "socket-session";
        const required = createRequire(import.meta.url)("socket-session");
        for (const name of Object.keys(imported)) if (imported[name] !== required[name]) throw new Error(name);
        console.log(new required.SessionError("DATA_INVALID") instanceof imported.SessionError);`,
    });
    expect(await project.node("same.js")).toEqual({ status: 0, text: "true\n" });
  });

  it("works from a CommonJS application", async () => {
    project.write({
      "app.cjs": `
        const express = require("express");
        const { createServer } = require("node:http");
        const { Server } = require("socket.io");
        const { createSessions } = require("socket-session");
        const app = express();
        const server = createServer(app);
        const io = new Server(server);
        const sessions = createSessions({ secret: "s" });
        app.use(sessions.middleware);
        sessions.attach(io);
        app.get("/", (req, res) => { req.session.user = "ada"; res.json(req.session.user); });
        server.listen(0, async () => {
          const response = await fetch("http://localhost:" + server.address().port);
          console.log(await response.text(), response.headers.has("set-cookie"));
          io.close();
          await sessions.close();
        });`,
    });
    expect(await project.node("app.cjs")).toEqual({ status: 0, text: '"ada" true\n' });
  });

  it("has a CommonJS build for tools that know nothing else, such as Jest", async () => {
    project.write({
      "jest.cjs": `
        const { readFileSync } = require("node:fs");
        const { dirname, join } = require("node:path");
        const manifest = require("socket-session/package.json");
        const root = dirname(require.resolve("socket-session/package.json"));
        const main = join(root, manifest.exports["."].require.default);
        if (main !== join(root, manifest.main)) throw new Error(main);
        if (/^import |^export /m.test(readFileSync(main, "utf8"))) throw new Error("not CommonJS");
        const { createSessions, memoryStore, SessionError } = require(main);
        const store = memoryStore();
        const sessions = createSessions({ secret: "s", store });
        console.log(typeof sessions.middleware, sessions.store === store, new SessionError("DATA_INVALID").code);
        sessions.close();`,
    });
    expect(await project.node("jest.cjs")).toEqual({ status: 0, text: "function true DATA_INVALID\n" });
  });

  it("runs without Socket.IO installed, for a service that speaks HTTP only", async () => {
    const http = new Project({ without: ["socket.io"] });
    http.write({
      "app.js": `
        import { createSessions } from "socket-session";
        console.log(typeof createSessions({ secret: "s" }).middleware);`,
    });
    expect(await http.node("app.js")).toEqual({ status: 0, text: "function\n" });
    http.remove();
  });
});

describe("in TypeScript, strict, with the libraries' types checked", () => {
  const source = `
    import express from "express";
    import { createServer } from "node:http";
    import { Server } from "socket.io";
    import { createSessions } from "socket-session";
    declare module "express-session" { interface SessionData { user: string } }
    const app = express();
    const io = new Server(createServer(app));
    const sessions = createSessions({ secret: "s" });
    app.use(sessions.middleware);
    sessions.attach(io);
    io.on("connection", (socket) => { const user: string = socket.session.user; void user; });`;

  let project: Project;
  beforeAll(() => {
    project = new Project();
  });
  afterAll(() => project.remove());

  const settings: [string, string, object][] = [
    ["nodenext, ES module", "app.mts", { module: "nodenext" }],
    ["nodenext, CommonJS", "app.cts", { module: "nodenext" }],
    ["node20, ES module", "app.mts", { module: "node20" }],
    ["a bundler's resolution", "app.ts", { module: "esnext", moduleResolution: "bundler" }],
  ];
  it.each(settings)("compiles with %s", async (_, file, options) => {
    project.write({ [file]: source });
    expect(await project.tsc([file], options)).toEqual({ status: 0, text: "" });
  });

  it("compiles without Socket.IO installed", async () => {
    const http = new Project({ without: ["socket.io"] });
    http.write({
      "app.ts": `
        import express from "express";
        import { createSessions, type SocketSession } from "socket-session";
        const sessions = createSessions({ secret: "s" });
        express().use(sessions.middleware);
        export const id = (session: SocketSession): string => session.id;`,
    });
    expect(await http.tsc(["app.ts"])).toEqual({ status: 0, text: "" });
    http.remove();
  });
});
