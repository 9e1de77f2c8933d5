// This library, as it is built here, or in the folder that LIBRARY names.
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CountingStore } from "../counting-store.js";
import { postgresPool, redisClient } from "./clients.js";

const root = process.env.LIBRARY ?? fileURLToPath(new URL("../..", import.meta.url));
const load = (name) => import(pathToFileURL(join(root, "dist", "esm", `${name}.js`)).href);
const { createSessions, liveStore } = await load("index");

const stores = {
  memory: () => ({}),
  counting: () => ({ store: liveStore(new CountingStore()) }),
  redis: async () => ({ store: (await load("redis")).redisStore({ client: await redisClient() }) }),
  postgres: async () => ({
    store: (await load("postgres")).postgresStore({ pool: postgresPool(), createTable: true }),
  }),
};

export async function start({ app, io, secret, storage }) {
  // With VIEW, clients are told of changes.
  const view = process.env.VIEW && { view: ({ count }) => ({ count }) };
  const sessions = createSessions({ secret, ...view, ...(await stores[storage]()) });
  app.use(sessions.middleware);
  // With ALLOW, each client and each change is asked about.
  const options = process.env.ALLOW ? { allow: ({ user }) => user !== undefined } : {};
  sessions.attach(io, options);
  return {
    stream: (request, response) => sessions.stream(request, response, options).open(),
    read: (socket, done) => done(socket.session.user),
    write(socket, done) {
      socket.session.count++;
      done();
    },
    async writeStored(socket, done) {
      socket.session.count++;
      await socket.session.save();
      done();
    },
  };
}
