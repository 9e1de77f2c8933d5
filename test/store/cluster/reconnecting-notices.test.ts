import { expect, onTestFinished, test } from "vitest";
import { NoticeCodec, noticeName } from "../../../src/store/cluster/notice-codec.js";
import {
  type NoticeConnection,
  type NoticeEvents,
  ReconnectingNotices,
} from "../../../src/store/cluster/reconnecting-notices.js";

const times = { heartbeat: 30, opening: 60, shortestPause: 5, longestPause: 10 };

/** A server in this process, which can be away or silent. */
class Server {
  state: "answers" | "refuses" | "is silent" = "answers";
  opened = 0;
  readonly open: { events: NoticeEvents; names: Set<string> }[] = [];
  /** What is to be done before a subscription is answered. */
  beforeAnswer: () => Promise<void> = async () => {};

  connect = async (events: NoticeEvents): Promise<NoticeConnection> => {
    await this.#answer();
    this.opened++;
    const connection = { events, names: new Set<string>() };
    this.open.push(connection);
    return {
      hears: "channels",
      subscribe: async (names) => {
        await this.beforeAnswer();
        await this.#answer();
        for (const name of names) connection.names.add(name);
      },
      unsubscribe: async (name) => void connection.names.delete(name),
      ping: () => this.#answer(),
      close: () => void this.open.splice(this.open.indexOf(connection), this.open.includes(connection) ? 1 : 0),
    };
  };

  get names(): string[] {
    return this.open.flatMap(({ names }) => [...names]);
  }

  send(id: string, message: string): void {
    for (const { events, names } of this.open) if (names.has(noticeName(id))) events.onMessage(noticeName(id), message);
  }

  drop(): void {
    for (const { events } of this.open.splice(0)) events.onLost("dropped");
  }

  async #answer(): Promise<void> {
    if (this.state === "refuses") throw new Error("refused");
    if (this.state === "is silent") await new Promise(() => {});
  }
}

function start(opening = times.opening) {
  const server = new Server();
  const codec = new NoticeCodec();
  const notices = new ReconnectingNotices(server.connect, codec, noticeName, { ...times, opening });
  const heard: string[] = [];
  const hearing: boolean[] = [];
  notices.listen({
    onNotice: (id, kind) => heard.push(`${id} ${kind}`),
    onWrite: (id, { node, number }) => heard.push(`${id} written by ${node}: ${number}`),
    onMessage: (id, node, word) => heard.push(`${id} ${node} ${word}`),
    onHearing: (is) => hearing.push(is),
  });
  onTestFinished(() => notices.close());
  return { server, codec, notices, heard, hearing };
}

test("a watch resolves when the other side has it, for all who asked; its own messages and nonsense are left out", async () => {
  const { server, codec, notices, heard, hearing } = start(5000);
  await notices.watch("first");
  expect(hearing).toEqual([true]);
  let answer: () => void = () => {};
  server.beforeAnswer = () => new Promise((resolve) => (answer = resolve));
  const order: string[] = [];
  const watches = [
    notices.watch("id")?.then(() => order.push("watched")),
    notices.watch("id")?.then(() => order.push("watched")),
  ];
  await new Promise((resolve) => setImmediate(resolve));
  expect(order).toEqual([]);
  answer();
  await Promise.all(watches);
  server.send("id", "other changed");
  server.send("id", codec.encode("changed"));
  server.send("id", "other says something");
  server.send("id", "nonsense");
  server.send("id", codec.encodeMessage("something"));
  server.send("id", "");
  server.send("id", new NoticeCodec().encode("SESSION_ROTATED"));
  expect(heard).toEqual(["id changed", "id other says something", "id SESSION_ROTATED"]);
  notices.unwatch("id");
  expect(server.names).toEqual([noticeName("first")]);
  expect(server.opened).toBe(1);
});

test("what is watched while the connection opens, or is away, is heard when it is open", async () => {
  const { server, notices, heard, hearing } = start();
  await Promise.all(["a", "b", "c"].map((id) => notices.watch(id)));
  expect(server.names.toSorted()).toEqual(["a", "b", "c"].map(noticeName).toSorted());
  server.state = "refuses";
  server.drop();
  expect(hearing).toEqual([true, false]);
  // Nobody waits for a server that is away.
  await notices.watch("d");
  notices.unwatch("a");
  server.state = "answers";
  await expect.poll(() => hearing).toEqual([true, false, true]);
  expect(server.names.toSorted()).toEqual(["b", "c", "d"].map(noticeName).toSorted());
  server.send("d", "other destroyed");
  expect(heard).toEqual(["d SESSION_DESTROYED"]);
});

test("a server that is silent is noticed by the heartbeat, without anybody asking for something", async () => {
  const { server, notices, hearing } = start();
  await notices.watch("a");
  server.state = "is silent";
  await expect.poll(() => hearing).toEqual([true, false]);
  await notices.watch("b");
  server.state = "answers";
  await expect.poll(() => hearing).toEqual([true, false, true]);
  expect(server.names.toSorted()).toEqual(["a", "b"].map(noticeName).toSorted());
});

test("a server that is silent holds nobody up who watches", async () => {
  const { server, notices, hearing } = start();
  await notices.watch("a");
  server.beforeAnswer = () => new Promise(() => {});
  await notices.watch("b");
  expect(hearing).toEqual([true, false]);
  server.beforeAnswer = async () => {};
  await expect.poll(() => hearing).toEqual([true, false, true]);
  expect(server.names.toSorted()).toEqual(["a", "b"].map(noticeName).toSorted());
});

test("closed is closed, also while it opens; a later watch opens it again", async () => {
  const { server, notices, hearing } = start();
  const watching = notices.watch("a");
  notices.close();
  await watching;
  expect(server.open).toEqual([]);
  expect(hearing).toEqual([]);
  await notices.watch("b");
  expect(hearing).toEqual([true]);
  notices.close();
  expect(hearing).toEqual([true, false]);
  expect(server.open).toEqual([]);
  await new Promise((resolve) => setTimeout(resolve, 3 * times.longestPause));
  expect(server.opened).toBe(2);
});
