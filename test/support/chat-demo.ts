// The demo as a process of its own, as `npm start` starts it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";
import { ensureBuilt } from "./built.js";
import { launchChromium } from "./chromium.js";

export interface Demo {
  readonly url: string;
  /** Its first three lines. */
  readonly printed: readonly string[];
  /** Asks it to stop, as Ctrl+C does. Resolves with its exit code. */
  stop(): Promise<number | null>;
}

/** Starts it at a free port, with these variables of the environment. */
export async function startDemo(env: Record<string, string> = {}): Promise<Demo> {
  const { SESSION_SECRET: _s, SESSION_MAX_AGE: _m, ...inherited } = process.env;
  const child: ChildProcess = spawn(process.execPath, ["scripts/demo.js", "chat"], {
    env: { ...inherited, PORT: "0", ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit") as Promise<[number | null]>;
  const failed = exited.then(([code]) => Promise.reject(new Error(`the demo ended with ${code} before it listened`)));
  failed.catch(() => undefined);
  const printed: string[] = [];
  for await (const line of createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })) {
    if (printed.push(line) === 3) break;
  }
  const url = /http:\/\/localhost:\d+/.exec(printed[0] ?? "")?.[0];
  if (url === undefined) await failed;
  return {
    url: url as string,
    printed,
    async stop() {
      child.kill("SIGTERM");
      return (await exited)[0];
    },
  };
}

/** The demo and a browser for all tests of a file, which are there when the first one begins. */
export function useDemo(): { readonly browser: Browser; readonly demo: Demo } {
  const running = {} as { browser: Browser; demo: Demo };
  beforeAll(async () => {
    ensureBuilt();
    [running.browser, running.demo] = await Promise.all([launchChromium(), startDemo()]);
  });
  afterAll(async () => {
    await running.browser?.close();
    expect(await running.demo?.stop()).toBe(0);
  });
  return running;
}
