// The `cors` option of a server: whom it allows to come with cookies, in all the ways in which applications write it.
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { answerTimeout, type Cors, inTime, isAllowedByCors, matches } from "../../src/handshake/cors.js";
import { requestOf } from "../support/requests.js";

const ok = "https://ok.example";
const request = requestOf({ host: "app.example", origin: ok });
/** Whether the option allows an origin; whatever is wrong rejects. */
const isAllowed = async (cors: Cors | undefined, origin = ok): Promise<boolean> =>
  isAllowedByCors(cors, origin, request);

type Say = (error: unknown, answer?: unknown) => void;

const broken = (): never => {
  throw new Error("broken");
};

// socketio/engine.io#641
describe("the option allows an origin", () => {
  test.each<[string, Cors]>([
    ["as its text", { origin: ok }],
    ["as its text in a list", { origin: ["https://other.example", ok] }],
    ["as a regular expression", { origin: /^https:\/\/ok\.example$/ }],
    ["as lists in lists", { origin: [[ok], "https://other.example"] }],
    ["as a function of the request", (_request, done) => done(null, { origin: [ok] })],
    ["as an async function of the request", async (_request, done) => done(null, { origin: ok })],
    ["as a function that answers late", (_request, done) => void setImmediate(done, null, { origin: ok })],
    [
      "as a function that looks at the request",
      (asked, done) => done(null, { origin: asked.headers.host === "app.example" && ok }),
    ],
    [
      "as a function whose origin is a function",
      (_request, done) => done(null, { origin: (o: string, say: Say) => say(null, o === ok) }),
    ],
    ["as origin that is an async function", { origin: async (origin: string, done: Say) => done(null, origin === ok) }],
    [
      "as origin that is a function which gives a list",
      { origin: (_origin: string, done: Say) => done(null, [/^https:\/\/ok/]) },
    ],
    [
      "as origin that is a function which gives its text",
      { origin: (_origin: string, done: Say) => done(undefined, "https://OK.example:443/") },
    ],
  ])("%s, and no other origin", async (_, cors) => {
    expect(await isAllowed(cors)).toBe(true);
    expect(await isAllowed(cors, "https://evil.example")).toBe(false);
  });

  test("as true, where credentials may come along", async () => {
    expect(await isAllowed({ origin: true, credentials: true })).toBe(true);
  });
});

describe("the option allows nobody", () => {
  test.each<[string, Cors | undefined]>([
    ["where there is none", undefined],
    ["as false", false],
    ["without origin", { credentials: true }],
    ["as true without credentials", { origin: true }],
    ["as true with credentials that are no boolean", { origin: true, credentials: "yes" as never }],
    ["as the wildcard", { origin: "*", credentials: true }],
    ["as a function that gives an error", (_request, done) => done(new Error("no"), { origin: ok })],
    ["as a function that gives nothing", (_request, done) => done(null)],
    ["as a function that gives the wildcard", (_request, done) => done(null, { origin: "*", credentials: true })],
    ["as a function that allows all, without credentials", (_request, done) => done(null, { origin: true })],
    [
      "as origin that is a function which gives an error",
      { origin: (_origin: string, done: Say) => done(new Error("no"), true) },
    ],
    [
      "as origin that is a function which gives the wildcard",
      { origin: (_origin: string, done: Say) => done(null, "*") },
    ],
  ])("%s", async (_, cors) => {
    expect(await isAllowed(cors)).toBe(false);
  });
});

describe("it is an error", () => {
  test.each<[string, Cors]>([
    ["where the function throws", broken],
    ["where the async function rejects", async () => broken()],
    ["where origin is a function that throws", { origin: broken }],
    ["where origin is an async function that rejects", { origin: async () => broken() }],
  ])("%s", async (_, cors) => {
    await expect(isAllowed(cors)).rejects.toThrow("broken");
  });

  test.each<[string, () => Promise<unknown>]>([
    ["cors", () => isAllowed(() => undefined)],
    ["cors.origin", () => isAllowed({ origin: () => undefined })],
    ["origins", () => inTime("origins", new Promise(() => undefined))],
  ])("where %s never answers, after a while", async (name, ask) => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    let failed: unknown;
    ask().catch((error: unknown) => (failed = error));
    await vi.advanceTimersByTimeAsync(answerTimeout - 1);
    expect(failed).toBeUndefined();
    await vi.advanceTimersByTimeAsync(2);
    expect(failed).toEqual(new Error(`${name} did not answer within 5000 ms.`));
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("an entry of a list", () => {
  test.each<[string, unknown, string, boolean]>([
    ["allows its own text", ok, ok, true],
    ["allows the same origin written in another way", "HTTPS://ok.example:443/", ok, true],
    ["allows an opaque origin by its text", "null", "null", true],
    ["does not allow another scheme", "http://ok.example", ok, false],
    ["does not allow another port", "https://ok.example:8443", ok, false],
    ["does not allow another opaque origin", "file://", "app://.", false],
    ["does not allow what is no origin", ok, "https://ok.example/", false],
    ["is no wildcard", "*", ok, false],
    ["is no wildcard, even for its own text", "*", "*", false],
    ["that is empty allows nobody", "", ok, false],
    ["may be a regular expression", /^https:\/\/ok/, ok, true],
    ["may be a regular expression with flags", /^HTTPS:\/\/OK/iu, ok, true],
    ["is a regular expression that does not match", /^http:/, ok, false],
    ["of another kind allows nobody", true, ok, false],
    ["of another kind allows nobody", undefined, ok, false],
    ["of another kind allows nobody, even with its text", new URL(ok), ok, false],
  ])("%s: %s for %s", (_, allowed, origin, isMatch) => {
    expect(matches(allowed, origin)).toBe(isMatch);
    expect(matches([allowed], origin)).toBe(isMatch);
  });

  test.each([/ok/g, /https/y, /ok|https/gy])("that is %s answers alike each time, and is left as it was", (allowed) => {
    allowed.lastIndex = 1;
    for (let time = 0; time < 3; time++) expect(matches(allowed, ok)).toBe(true);
    expect(allowed.lastIndex).toBe(1);
  });
});
