// `npm run demo:cluster` as its users meet it: two real nodes, a real Redis, a real balancer and a real Chromium.
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ensureBuilt } from "../support/built.js";
import { enterName, isSignedOut, logOut, lookAway, say, shows } from "../support/chat-page.js";
import { launchChromium } from "../support/chromium.js";
import { openContext, openPage } from "../support/client.js";

interface Demo {
  readonly balancer: string;
  readonly nodes: readonly { readonly url: string; readonly pid: number }[];
  /** Resolves with the next line that it prints. */
  line(): Promise<string>;
  /** Its processes: the nodes, and Redis where it is its own. */
  processes(): number[];
  /** Asks it to stop, as Ctrl-C does. Resolves with its exit code. */
  stop(): Promise<number | null>;
}

let browser: Browser;
let demo: Demo;

beforeAll(async () => {
  ensureBuilt();
  [browser, demo] = await Promise.all([launchChromium(), startDemo()]);
});

afterAll(async () => {
  await browser?.close();
  expect(await demo?.stop()).toBe(0);
});

const node = (number: 1 | 2): string => demo.nodes[number - 1]?.url as string;

describe("one session on two nodes", () => {
  test("who logs in on one is logged in on the other, with the same data", async () => {
    const context = await openContext(browser);
    const told: string[] = [];
    context.once("page", (page) => page.on("websocket", (socket) => socket.on("framereceived", note)));
    const note = ({ payload }: { payload: string | Buffer }): void => void told.push(String(payload));
    const first = await logIn(context, "Ada", node(1));
    const second = await openPage(context, node(2));
    await shows(first, "tabs", "1 on node 1");
    await shows(second, "tabs", "1 on node 2");
    await shows(second, "name", "Ada");
    await first.getByLabel("Message", { exact: true }).pressSequentially("typed on node 1");
    await shows(second, "draft", "typed on node 1");
    await second.getByRole("button", { name: "Hello everyone!" }).click();
    await shows(first, "draft", "Hello everyone!");
    // Each node tells its own tabs.
    const counts = (): string[] => told.filter((frame) => frame.includes('"tabs"'));
    await expect.poll(counts).not.toEqual([]);
    for (const frame of counts()) expect(frame).toMatch(/"tabs":1,.*"node":"node 1"/);
  });

  test("messages cross, and are counted for who is on the other node", async () => {
    const ada = await logIn(await openContext(browser), "Ada Two", node(1));
    const bob = await logIn(await openContext(browser), "Bob", node(2));
    await ada.getByLabel("In the chat").getByTitle("Bob").waitFor();
    await lookAway(bob);
    await say(ada, "from node 1");
    await reads(bob, "from node 1");
    await shows(bob, "unread", "1");
    await say(bob, "from node 2");
    await reads(ada, "from node 2");
    await shows(bob, "unread", "0");
    const late = await logIn(await openContext(browser), "Late", node(2));
    await reads(late, "from node 1");
  });

  test("a new id on one brings the other's tabs back with the new cookie", async () => {
    const context = await openContext(browser);
    const first = await logIn(context, "Renewer", node(1));
    const second = await openPage(context, node(2));
    await shows(second, "name", "Renewer");
    await first.getByRole("button", { name: "Renew the id" }).click();
    for (const tab of [first, second]) {
      await tab.getByText("session:end SESSION_ROTATED").waitFor();
      await expect.poll(() => tab.getByRole("status").textContent(), { timeout: 10_000 }).toBe("Live");
    }
    await say(second, "with the new cookie");
    await reads(first, "with the new cookie");
  });

  test("a logout on one closes the other's tabs", async () => {
    const context = await openContext(browser);
    const first = await logIn(context, "Leaver", node(1));
    const second = await openPage(context, node(2));
    await shows(second, "name", "Leaver");
    await logOut(first);
    for (const tab of [first, second]) await isSignedOut(tab, "SESSION_DESTROYED");
    expect((await second.request.get(`${node(2)}/session`)).status()).toBe(401);
  });

  test("a logout everywhere reaches the user's browsers on both nodes, and nobody else's", async () => {
    const desk = await logIn(await openContext(browser), "Everywhere", node(1), "sesame");
    const phone = await logIn(await openContext(browser), "Everywhere", node(2), "sesame");
    const bob = await logIn(await openContext(browser), "Bob Two", node(2));
    await desk.getByRole("button", { name: "Log out everywhere" }).click();
    for (const page of [desk, phone]) await isSignedOut(page, "SESSION_DESTROYED");
    await say(bob, "still here");
    await reads(bob, "still here");
  });
});

describe("the balancer", () => {
  test("brings the tabs of a node that is killed to the other, logged in as before", async () => {
    const own = await startDemo();
    onTestFinished(async () => expect(await own.stop()).toBe(0));
    const context = await openContext(browser);
    const page = await logIn(context, "Survivor", own.balancer);
    const killed = (await page.locator("#field-tabs").textContent())?.endsWith("1") ? 0 : 1;
    await page.getByLabel("Message", { exact: true }).fill("before the crash");
    await shows(page, "draft", "before the crash");
    const told = own.line();
    process.kill(own.nodes[killed]?.pid as number, "SIGKILL");
    expect(await told).toBe(`node ${killed + 1} has ended: the balancer goes on without it`);
    await shows(page, "tabs", `1 on node ${2 - killed}`);
    await shows(page, "draft", "before the crash");
    expect((await page.request.get(`${own.balancer}/session`)).status()).toBe(200);
  });

  test("outlives a client that is gone without a word", async () => {
    const { hostname, port, host } = new URL(demo.balancer);
    const socket = connect(Number(port), hostname);
    const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
    const key = `Sec-WebSocket-Key: ${Buffer.alloc(16).toString("base64")}`;
    const request = ["GET /socket.io/?EIO=4&transport=websocket HTTP/1.1", `Host: ${host}`, ...upgrade, key];
    socket.write(`${request.join("\r\n")}\r\n\r\n`);
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toContain("101 Switching Protocols");
    socket.resetAndDestroy();
    for (let time = 0; time < 5; time++) expect((await fetch(demo.balancer)).status).toBe(200);
  });
});

describe("Ctrl-C", () => {
  test("ends all that was started", async () => {
    const own = await startDemo();
    const processes = own.processes();
    expect(processes).toEqual(expect.arrayContaining(own.nodes.map(({ pid }) => pid)));
    await logIn(await openContext(browser), "Interrupted", own.balancer);
    expect(await own.stop()).toBe(0);
    for (const pid of processes) expect(() => process.kill(pid, 0), `process ${pid}`).toThrow("ESRCH");
    await expect(fetch(own.balancer)).rejects.toThrow();
  });
});

// --- the demo and its pages ---

async function startDemo(): Promise<Demo> {
  const { SESSION_SECRET: _s, SESSION_MAX_AGE: _m, ...inherited } = process.env;
  const child: ChildProcess = spawn(process.execPath, ["scripts/demo.js", "cluster"], {
    env: { ...inherited, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const failed = exited.then(([code]) => Promise.reject(new Error(`the demo ended with ${code}`)));
  failed.catch(() => undefined);
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => (await Promise.race([lines.next(), failed])).value as string;
  const balancer = /^balancer {2}(http:\/\/localhost:\d+)$/.exec(await line())?.[1] as string;
  const nodes = [];
  for (const number of [1, 2]) {
    const said = new RegExp(String.raw`^node ${number} {4}(http://localhost:\d+) {2}\(process (\d+)\)$`).exec(
      await line(),
    );
    nodes.push({ url: said?.[1] as string, pid: Number(said?.[2]) });
  }
  expect(await line()).toContain("Ctrl-C ends everything");
  return {
    balancer,
    nodes,
    line,
    processes: () =>
      execFileSync("pgrep", ["-P", `${child.pid}`], { encoding: "utf8" })
        .trim()
        .split("\n")
        .map(Number),
    async stop() {
      child.kill("SIGINT");
      return (await exited)[0];
    },
  };
}

async function logIn(context: BrowserContext, name: string, url: string, word = ""): Promise<Page> {
  const page = await openPage(context, url);
  await enterName(page, name, word);
  return page;
}

async function reads(page: Page, text: string): Promise<void> {
  await page.getByRole("log").getByText(text, { exact: true }).waitFor();
}
