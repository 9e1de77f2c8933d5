// Data of sessions under adapters that clone what they send to other nodes.
import { createRequire } from "node:module";
import { expect, onTestFinished, test } from "vitest";
import { BroadcastChannel } from "node:worker_threads";
import { Server } from "socket.io";
import { startApp } from "../support/app.js";

const require = createRequire(createRequire(import.meta.url).resolve("socket.io"));
const { Adapter, ClusterAdapterWithHeartbeat } = require("socket.io-adapter") as Record<string, any>;

/** Between worker threads, as an application writes it. */
class ThreadAdapter extends ClusterAdapterWithHeartbeat {
  readonly #channel = new BroadcastChannel(`socket.io ${run}`);

  constructor(namespace: unknown) {
    super(namespace, {});
    this.#channel.addEventListener("message", ({ data }: any) => this["onMessage"](data));
    onClosed.push(() => this.#channel.close());
    this["init"]();
  }

  // One throws, the other rejects.
  doPublish(message: unknown): Promise<string> {
    this.#channel.postMessage(message);
    return Promise.resolve("");
  }

  async doPublishResponse(requester: string, response: object): Promise<void> {
    this.#channel.postMessage({ ...response, requester });
  }
}

const onClosed: (() => void)[] = [];
let run = 0;

/** Two nodes; with `late` they get the adapter after sessions were attached. */
async function startNodes(late: boolean) {
  run++;
  onTestFinished(() => {
    for (const close of onClosed.splice(0)) close();
  });
  const start = async () => {
    const { io, browser } = await startApp({
      attach: { missing: "create" },
      ...(late ? {} : { io: { adapter: ThreadAdapter as never } }),
    });
    if (late) io.adapter(ThreadAdapter as never);
    return { io, browser };
  };
  const nodes = [await start(), await start()] as const;
  await expect.poll(() => (nodes[0].io.of("/").adapter as any).serverCount()).toBe(2);
  await expect.poll(() => (nodes[1].io.of("/").adapter as any).serverCount()).toBe(2);
  return nodes;
}

const session = { cart: ["apple"], address: { city: "Ulm" } };

async function socketOn(node: Awaited<ReturnType<typeof startNodes>>[number], fields: object = {}) {
  const connected = new Promise<any>((resolve) => node.io.once("connection", resolve));
  const client = await node.browser().connect();
  const socket = await connected;
  Object.assign(socket.session, fields);
  return { client, socket };
}

// socketio/socket.io#4261
test.each([false, true])(
  "what is emitted to all reaches the clients of all nodes (adapter set late: %s)",
  async (late) => {
    const [here, there] = await startNodes(late);
    const [a, b] = [await socketOn(here, session), await socketOn(there)];
    const { cart, address } = a.socket.session;
    for (const [name, value] of Object.entries<unknown>({ cart, address, both: { cart, list: [address] } })) {
      const heard = [a, b].map(({ client }) => new Promise((resolve) => client.once(name, resolve)));
      here.io.emit(name, value);
      const sent = JSON.parse(JSON.stringify(value)) as unknown;
      expect(await Promise.all(heard)).toEqual([sent, sent]);
    }
    const acknowledged = [a, b].map(({ client }) => client.once("ask", (_, done) => done("heard")));
    expect(acknowledged).toHaveLength(2);
    expect(await here.io.timeout(5000).emitWithAck("ask", cart)).toEqual(["heard", "heard"]);
  },
);

test("what servers say to each other, and what they answer", async () => {
  const [here, there] = await startNodes(false);
  const { socket } = await socketOn(there, session);
  there.io.on("what", (value: unknown, done: (answer: unknown) => void) => done({ value, cart: socket.session.cart }));
  const own = await socketOn(here, session);
  expect(await here.io.serverSideEmitWithAck("what", own.socket.session.address)).toEqual([
    { value: { city: "Ulm" }, cart: ["apple"] },
  ]);
});

test("what stands in socket.data is found from other nodes", async () => {
  const [here, there] = await startNodes(false);
  const { socket } = await socketOn(there, session);
  socket.data.address = socket.session.address;
  const [found] = await here.io.fetchSockets();
  expect(found?.data).toEqual({ address: { city: "Ulm" } });
});

test.each([false, true])("nothing of it is seen by who copies namespaces and adapters (set late: %s)", async (late) => {
  const [{ io }] = await startNodes(late);
  const bare = new Server({ adapter: ThreadAdapter as never });
  onTestFinished(() => void bare.of("/").adapter.close());
  for (const of of [(server: Server): object => server.of("/"), (server: Server): object => server.of("/").adapter]) {
    expect(Object.keys(of(io))).toEqual(Object.keys(of(bare)));
  }
});

test("a namespace without sessions may send data of one", async () => {
  const [here, there] = await startNodes(false);
  const { socket } = await socketOn(here, session);
  const heard = new Promise((resolve) => there.io.of("/other").on("state", resolve));
  here.io.of("/other").serverSideEmit("state", socket.session.cart);
  expect(await heard).toEqual(["apple"]);
});

test("what cannot be cloned for another reason fails as before, and nothing is sent twice", async () => {
  const [here] = await startNodes(false);
  const { adapter } = here.io.of("/") as { adapter: any };
  await expect((async () => adapter.doPublish({ data: () => undefined }))()).rejects.toThrow("could not be cloned");
  const calls: unknown[] = [];
  class Failing extends Adapter {
    doPublish(message: unknown): Promise<never> {
      calls.push(message);
      return Promise.reject(new Error("the network is away"));
    }
  }
  const io = new Server({ adapter: Failing as never });
  const { sessions } = await startApp({ attach: false });
  sessions.attach(io);
  const { socket } = await socketOn(here, session);
  await expect((io.of("/").adapter as any).doPublish({ cart: socket.session.cart })).rejects.toThrow("network");
  expect(calls).toHaveLength(1);
});
