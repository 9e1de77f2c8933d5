// An application with one logged-in client, and its session as the server has it.
import { backendOf, type LiveStore } from "../../src/store/live-store.js";
import { startApp } from "./app.js";

/** `session` is `socket.session`, `errors` what `sessions` reports, `stored` reads the text of the session. */
export async function startWithSession(options: Parameters<typeof startApp>[0] = {}) {
  const app = await startApp(options);
  const ada = await app.login();
  await ada.connect();
  const [server] = [...app.io.of("/").sockets.values()] as any[];
  const errors: any[] = [];
  app.sessions.on("error", (error) => errors.push(error));
  const { id } = server.session;
  const stored = async (): Promise<string> => backendOf(app.sessions.store).read(id, (text) => text as string);
  return { app, ada, session: server.session, server, errors, id, stored };
}

/** The sessions of two users, each with a socket; `errors` is what `sessions` reports. */
export async function twoSessions() {
  const app = await startApp();
  const ada = await app.login("ada");
  await ada.connect();
  await (await app.login("bob")).connect();
  const [one, two] = [...app.io.of("/").sockets.values()].map(({ session }) => session as any);
  const errors: any[] = [];
  app.sessions.on("error", (error) => errors.push(error));
  return { app, ada, one, two, errors };
}

/** Counts the commits of a store from now on. */
export function countCommits(store: LiveStore): { readonly count: number } {
  const counted = { count: 0 };
  const backend = backendOf(store);
  const commit = backend.commit.bind(backend);
  backend.commit = (...values) => {
    counted.count++;
    return commit(...values);
  };
  return counted;
}
