// useSession() in real React: in a page, and rendered on a server.
import { createElement } from "react";
import { renderToString } from "react-dom/server";
import type { Browser as Chromium, Page } from "playwright-core";
import { io } from "socket.io-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { withSession } from "../../src/client/index.js";
import { useSession } from "../../src/react.js";
import { launchChromium } from "../support/chromium.js";
import { bundle, openContext, openPage, startClientApp } from "../support/client.js";

let chromium: Chromium;
beforeAll(async () => {
  chromium = await launchChromium();
});
afterAll(() => chromium?.close());

const program = bundle(`
  import { useState } from "react";
  import { createRoot } from "react-dom/client";
  import { withSession } from "./src/client/index.js";
  import { useSession } from "./src/react.js";

  globalThis.renders = 0;
  const account = globalThis.account = withSession(globalThis.io({ transports: ["websocket"] }), { warnBefore: 8000 });
  const { on, off } = account;
  globalThis.listening = 0;
  account.on = (...values) => (listening++, on.apply(account, values));
  account.off = (...values) => (listening--, off.apply(account, values));

  function Account() {
    renders++;
    const { view, ended, expiring } = useSession(account);
    const [clicks, setClicks] = useState(0);
    return <p id="account" onClick={() => setClicks(clicks + 1)}>
      {ended ?? (expiring ? "expiring" : view?.user ?? "nobody")} {clicks}
    </p>;
  }
  const root = globalThis.root = createRoot(document.body);
  root.render(<Account />);
`);

it("renders what the session is, when it changes and only then", async () => {
  // The page's time is moved: without heartbeats, which would be missed.
  const app = await startClientApp({ io: { pingInterval: 3_600_000 } });
  const page = await openPage(await openContext(chromium), app.url);
  await page.clock.install();
  await page.evaluate(`post("/login")`);
  await page.evaluate(program);
  await shows(page, "ada 0");
  await page.evaluate(`post("/set", { user: "bob" })`);
  await shows(page, "bob 0");
  const renders = await page.evaluate("renders");
  // Neither a change outside of the view nor a renewal is one of what is shown.
  await page.evaluate(`post("/set", { count: 1 })`);
  expect(await page.evaluate("account.renew()")).toBe(true);
  expect(await page.evaluate("renders")).toBe(renders);
  await page.clock.fastForward(55_000);
  await shows(page, "expiring 0");
  expect(await page.evaluate("account.renew()")).toBe(true);
  await shows(page, "bob 0");
  await page.evaluate(`post("/logout")`);
  await shows(page, "SESSION_DESTROYED 0");
  // It listens once, however often it renders, and no longer than it is there.
  const listening = await page.evaluate("listening");
  await page.locator("#account").click();
  await shows(page, "SESSION_DESTROYED 1");
  expect(await page.evaluate("listening")).toBe(listening);
  await page.evaluate("root.unmount()");
  expect(await page.evaluate("listening")).toBe(0);
});

it("renders that the session may not be here any more", async () => {
  const app = await startClientApp({ attach: { allow: ({ user }) => user !== "mallory" } });
  const page = await openPage(await openContext(chromium), app.url);
  await page.evaluate(`post("/login")`);
  await page.evaluate(program);
  await shows(page, "ada 0");
  await page.evaluate(`post("/set", { user: "mallory" })`);
  await shows(page, "SESSION_FORBIDDEN 0");
});

it("knows nothing yet when it is rendered on a server", () => {
  const session = withSession<{ user: string }>(io("http://127.0.0.1:1", { autoConnect: false }));
  const Account = (): unknown => createElement("p", {}, JSON.stringify(useSession(session)));
  expect(renderToString(createElement(Account as () => null))).toBe("<p>{}</p>");
  session.close();
});

async function shows(page: Page, text: string): Promise<void> {
  await expect.poll(() => page.locator("#account").textContent(), { timeout: 10_000 }).toBe(text);
}
