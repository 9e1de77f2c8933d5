// A node that has a session hears of it, in whatever order it is taken, let go of, written late and subscribed.
import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Connection } from "../../src/session/connections.js";
import type { ActiveSession } from "../../src/session/live-session.js";
import { Registry } from "../../src/session/registry.js";
import type { Driver } from "../../src/store/drivers/driver.js";
import { backendOf, LiveStore } from "../../src/store/live-store.js";
import { MemoryDriver } from "../../src/store/drivers/memory.js";
import { NoticeCodec } from "../../src/store/cluster/notice-codec.js";
import { ReconnectingNotices } from "../../src/store/cluster/reconnecting-notices.js";
import { NoticeServer } from "../support/notice-server.js";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date", "setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

type Step =
  | { readonly do: "acquire" | "release" | "write late"; readonly who: number; readonly id: number }
  | { readonly do: "answer"; readonly which: number }
  | { readonly do: "elsewhere"; readonly id: number }
  | { readonly do: "drop" | "go away" | "come back" | "wait" };

const [who, id] = [fc.nat(1), fc.nat(1)];
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom("acquire", "release", "write late"), who, id }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("answer"), which: fc.nat(3) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("elsewhere"), id }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("drop", "go away", "come back", "wait") }) },
) as fc.Arbitrary<Step>;

const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };

/** A connection that has its session. */
interface Used {
  readonly live: ActiveSession;
  readonly connection: Connection;
  readonly registry: Registry;
  readonly id: string;
}

/** A node with two sets of live sessions over one store, whose line to the notices the test has in its hands. */
class Node {
  readonly server = new NoticeServer();
  readonly store: LiveStore;
  readonly registries: readonly Registry[];
  readonly #stored = new MemoryDriver();
  readonly #used: Used[] = [];
  /** What handlers hold whose connections are gone. */
  readonly #left: ActiveSession[] = [];
  #count = 0;

  constructor() {
    const notices = new ReconnectingNotices(this.server.connect, new NoticeCodec());
    const own: Partial<Driver> = { isShared: true, notices };
    const driver = new Proxy(this.#stored, {
      get(target, key) {
        const value: unknown = Reflect.get(key in own ? own : target, key);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    }) as Driver;
    this.store = new LiveStore(driver);
    const options = { lease: 1e9, maxStale: 1e9, maxUnsaved: 100 };
    this.registries = [1, 2].map(() => new Registry(backendOf(this.store), options, quiet));
  }

  async begin(): Promise<void> {
    for (const each of ["0", "1"]) {
      await this.#stored.create(each, `{"cookie":{"originalMaxAge":null,"expires":null}}`, Number.POSITIVE_INFINITY);
    }
  }

  async run(one: Step): Promise<void> {
    if (one.do === "acquire") {
      const connection = { end() {} };
      const registry = this.registries[one.who] as Registry;
      const name = String(one.id);
      const acquiring = (async () => registry.acquire(name, connection))();
      acquiring.then(
        (live) => void this.#used.push({ live, connection, registry, id: name }),
        () => undefined,
      );
    } else if (one.do === "release") {
      const index = this.#used.findIndex(
        (used) => used.registry === this.registries[one.who] && used.id === String(one.id),
      );
      if (index >= 0) this.#release(index);
    } else if (one.do === "write late") {
      const live = this.#left.findLast((left) => left.id === String(one.id));
      if (live) (live.data as unknown as Record<string, unknown>)["late"] = ++this.#count;
    } else if (one.do === "answer") this.server.answer(one.which);
    else if (one.do === "elsewhere") await this.elsewhere(String(one.id));
    else if (one.do === "drop") this.server.drop();
    else if (one.do === "wait") await vi.advanceTimersByTimeAsync(1000);
    else {
      this.server.isAway = one.do === "go away";
      if (this.server.isAway) this.server.drop();
    }
    await settled();
    this.check();
  }

  /** While the node says that it hears, it is subscribed to each session that has connections here. */
  check(): void {
    if (!this.store.isHearing) return;
    for (const { live, id: used } of this.#used) {
      if (!live.ended) expect(this.server.count(used), `subscriptions of session ${used}`).toBe(1);
    }
  }

  /** Another node writes, and each live session sees it at once. */
  async elsewhere(written: string): Promise<void> {
    await settled();
    const text = (await this.#stored.read(written)) as string;
    const value = ++this.#count;
    await this.#stored.replace(written, JSON.stringify({ ...JSON.parse(text), value }), undefined, text);
    this.server.send(written, "another changed");
    await settled();
    if (!this.store.isHearing) return;
    for (const { live, id: used } of this.#used) if (used === written) expect(live.data).toMatchObject({ value });
  }

  /** All that is asked is answered, and the line is open. */
  async calm(): Promise<void> {
    this.server.isAway = false;
    for (let round = 0; round < 50; round++) {
      while (this.server.waiting > 0) {
        this.server.answer(0);
        await settled();
      }
      if (round > 5 && this.store.isHearing) return;
      await vi.advanceTimersByTimeAsync(1000);
      await settled();
    }
  }

  releaseAll(): void {
    while (this.#used.length > 0) this.#release(0);
  }

  get used(): Set<string> {
    return new Set(this.#used.map((used) => used.id));
  }

  async close(): Promise<void> {
    for (const registry of this.registries) await registry.close();
    this.store.close();
  }

  #release(index: number): void {
    const [{ live, connection }] = this.#used.splice(index, 1) as [Used];
    this.#left.push(live);
    live.remove(connection);
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

test("in every order of connecting, leaving, late writes, answers and lost lines", { timeout: 180_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const node = new Node();
      await node.begin();
      // The line opens with the first session that is used.
      await node.run({ do: "acquire", who: 0, id: 0 });
      for (const one of steps) await node.run(one);
      await node.calm();
      expect(node.store.isHearing).toBe(true);
      node.check();
      expect(node.server.size).toBe(node.used.size);
      for (const used of node.used) await node.elsewhere(used);
      node.releaseAll();
      await node.calm();
      expect(node.registries.map(({ size }) => size)).toEqual([0, 0]);
      expect(node.server.size).toBe(0);
      await node.close();
    }),
    { numRuns: 1000 },
  );
});
