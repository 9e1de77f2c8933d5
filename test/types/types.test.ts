// TypeScript as users see it: compiles fixtures/app.ts with plain tsc against the shipped package.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Project } from "../support/project.js";

const fixture = readFileSync(join(import.meta.dirname, "fixtures/app.ts"), "utf8");
const stores = readFileSync(join(import.meta.dirname, "fixtures/stores.ts"), "utf8");

describe("types", () => {
  let project: Project;
  beforeAll(() => {
    project = new Project();
  });
  afterAll(() => project.remove());

  it("need no cast, refuse what is wrong, and leave others' types alone", async () => {
    project.write({ "app.ts": fixture });
    expect(await project.tsc(["app.ts"])).toEqual({ status: 0, text: "" });
  });

  it("are the same to a CommonJS application", async () => {
    project.write({ "app.cts": fixture });
    expect(await project.tsc(["app.cts"])).toEqual({ status: 0, text: "" });
  });

  it("take the clients of redis, ioredis, iovalkey and pg as they are", async () => {
    const withTypes = new Project({
      packages: ["@types/pg", "ioredis", "ioredis-5", "iovalkey"],
      from: { "redis-5": "test/node_modules/redis-5" },
    });
    withTypes.write({ "stores.ts": stores });
    // Theirs are not ours to check.
    expect(await withTypes.tsc(["stores.ts"], { skipLibCheck: true })).toEqual({ status: 0, text: "" });
    withTypes.remove();
  });

  it("of the stores need neither redis nor pg", async () => {
    const without = new Project({ without: ["redis", "pg"] });
    without.write({
      "app.ts": `
        import type { RedisStoreOptions } from "socket-session/redis";
        import type { PostgresStoreOptions } from "socket-session/postgres";
        export type Options = RedisStoreOptions | PostgresStoreOptions;`,
    });
    expect(await without.tsc(["app.ts"])).toEqual({ status: 0, text: "" });
    without.remove();
  });

  it("know the session of a ws socket", async () => {
    const others = new Project({ packages: ["ws", "@types/ws", "engine.io"] });
    try {
      for (const name of ["servers.ts", "servers.cts"]) {
        others.write({ [name]: readFileSync(join(import.meta.dirname, "fixtures", name), "utf8") });
        expect(await others.tsc([name]), name).toEqual({ status: 0, text: "" });
      }
    } finally {
      others.remove();
    }
  });

  it("take the servers of the oldest Socket.IO, whatever their events", async () => {
    const oldest = new Project({ packages: ["socket.io-4.6.0"] });
    oldest.write({
      "oldest.ts": `
        import { type Namespace, Server } from "socket.io-4.6.0";
        import { type AttachableServer, createSessions } from "socket-session";
        const io = new Server<{ add(item: string): void }, { added(): void }, { ping(): void }, { seen: number }>();
        const all: AttachableServer[] = [io, new Server(), io.of("/a"), io.of(/^\\/b/), io.engine];
        for (const server of all) createSessions({ secret: "s" }).attach(server);
        export const attach = (namespace: Namespace) => createSessions({ secret: "s" }).attach(namespace);
        // @ts-expect-error: a socket is no server
        io.on("connection", (socket) => createSessions({ secret: "s" }).attach(socket));`,
    });
    // Its own types are not ours to check.
    expect(await oldest.tsc(["oldest.ts"], { skipLibCheck: true })).toEqual({ status: 0, text: "" });
    oldest.remove();
  });

  it("would be caught if they were wrong: the assertions of the fixture are compiled", async () => {
    project.write({
      "wrong.ts": `${fixture}
        holds<Equal<Express.Request["sessionID"], number>>();
        // @ts-expect-error: nothing is wrong here
        void sessions.middleware;`,
    });
    const { status, text } = await project.tsc(["wrong.ts"]);
    expect(status).not.toBe(0);
    expect(text.match(/error TS\d+/g)).toEqual(["error TS2344", "error TS2578"]);
  });
});
