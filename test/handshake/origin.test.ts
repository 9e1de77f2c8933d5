// Origins are those of the URL standard: what counts as the server's own, what a list allows, and what is no origin.
import type { IncomingMessage } from "node:http";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { answerTimeout, type Cors } from "../../src/handshake/cors.js";
import { ownHosts } from "../../src/handshake/hosts.js";
import { type AllowedOrigins, refusedOrigin } from "../../src/handshake/origin.js";
import { ProxyTrust } from "../../src/handshake/proxy-trust.js";

interface Asked {
  readonly headers: Record<string, string>;
  readonly isEncrypted?: boolean;
  readonly origins?: AllowedOrigins;
  readonly cors?: Cors;
  readonly hosts?: string[];
  readonly proxy?: boolean;
}

async function isRefused({ headers, isEncrypted = false, origins = [], cors, hosts, proxy = false }: Asked) {
  const request = { headers, socket: { encrypted: isEncrypted } } as unknown as IncomingMessage;
  const trust = new ProxyTrust(proxy, ownHosts(hosts));
  return (await refusedOrigin(request, { origins, requireOrigin: false }, trust, cors)) !== undefined;
}

const names = ["bücher.example", "xn--bcher-kva.example", "LOCALHOST", "localhost", "a.example.", "a.example", "[::1]"];
const host = fc.oneof(
  fc.constantFrom(...names, "[0:0:0:0:0:0:0:1]", "127.0.0.1", "127.1"),
  fc.domain(),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
);
const port = fc.oneof(
  fc.constantFrom("", ":80", ":443", ":080"),
  fc.integer({ min: 1, max: 65_535 }).map((one) => `:${one}`),
);
const place = fc.tuple(fc.constantFrom("http", "https", "HTTPS"), host, port);
const pair = fc.oneof(
  fc.tuple(place, place),
  place.map(
    ([scheme, name, at]) =>
      [
        [scheme, name, at],
        [scheme.toUpperCase(), name.toUpperCase(), at],
      ] as const,
  ),
);

test("an origin is the server's own exactly where the URL standard says that both are the same", async () => {
  await fc.assert(
    fc.asyncProperty(pair, async ([[scheme, name, at], [...other]]) => {
      const origin = `${other[0]}://${other[1]}${other[2]}`;
      const isSame = new URL(`${scheme}://${name}${at}`).origin === new URL(origin).origin;
      const headers = { host: name + at, origin };
      expect(await isRefused({ headers, isEncrypted: scheme !== "http" })).toBe(!isSame);
      expect(
        await isRefused({ headers: { host: "else.example", origin }, origins: [`${scheme}://${name}${at}`] }),
      ).toBe(!isSame);
    }),
    { numRuns: 500 },
  );
});

describe.each([
  "http://user@app.example",
  "http://user:word@app.example",
  "http://@app.example",
  "http://app.example/",
  "http://app.example/path",
  "http://app.example?query",
  "http://app.example#hash",
  "http:app.example",
  "http:/app.example",
  "http:\\\\app.example",
  "http://app.ex\tample",
  " http://app.example",
  "app.example",
  "null",
  "ws://app.example",
])("Origin: %j", (origin) => {
  test("is not the server's own, and no list has it", async () => {
    const headers = { host: "app.example", origin };
    expect(await isRefused({ headers, origins: ["http://app.example", /app\.example/] })).toBe(
      // A regular expression is the application's: it gets what can be an origin.
      origin !== "ws://app.example",
    );
  });

  test("is not the server's own, whatever the Host header says", async () => {
    const written = origin.replace(/^\w+:(?:\/\/)?/, "");
    expect(await isRefused({ headers: { host: written, origin } })).toBe(true);
    const headers = { host: "inner", origin, "x-forwarded-host": written };
    expect(await isRefused({ headers, proxy: true })).toBe(true);
  });
});

test.each(["null", "file://", "chrome-extension://abcdef", "capacitor://localhost", "app://."])(
  "%s is allowed where a list names it",
  async (origin) => {
    const headers = { host: "app.example", origin };
    expect(await isRefused({ headers, origins: [origin] })).toBe(false);
    expect(await isRefused({ headers, origins: [`${origin}x`] })).toBe(true);
  },
);

describe("hosts", () => {
  const hosts = ["app.example", "localhost:3000", ".tenants.example", "[::1]", "bücher.example", "tls.example:443"];
  test.each([
    ["app.example", false],
    ["app.example:8080", false],
    ["APP.example", false],
    ["localhost:3000", false],
    ["localhost", true],
    ["localhost:3001", true],
    ["tenants.example", false],
    ["one.tenants.example", false],
    ["eviltenants.example", true],
    ["[0:0:0:0:0:0:0:1]:9000", false],
    ["xn--bcher-kva.example", false],
    ["tls.example", true],
    ["evil.example", true],
    ["app.example.evil.example", true],
    ["app.example.", true],
    ["evil@app.example", true],
    ["", true],
  ])("a request to %s is refused: %s", async (name, refused) => {
    const origin = `http://${name}`;
    expect(await isRefused({ headers: { host: name, origin }, hosts })).toBe(refused);
    expect(await isRefused({ headers: { host: name }, hosts })).toBe(refused);
    expect(await isRefused({ headers: { host: name, "sec-fetch-site": "same-origin" }, hosts })).toBe(refused);
  });

  test("are those that a trusted proxy says", async () => {
    const headers = { host: "inner", "x-forwarded-host": "app.example" };
    expect(await isRefused({ headers, hosts, proxy: true })).toBe(false);
    expect(await isRefused({ headers, hosts })).toBe(true);
    expect(await isRefused({ headers: { host: "app.example", "x-forwarded-host": "evil" }, hosts })).toBe(false);
  });

  test("with TLS the default port is 443", async () => {
    expect(await isRefused({ headers: { host: "tls.example" }, hosts, isEncrypted: true })).toBe(false);
  });

  test.each([
    ["https://app.example"],
    ["app.example/path"],
    [""],
    ["."],
    [":3000"],
    ["a b"],
    ["*.app.example"],
    ["app.example\\evil"],
    ["app.example:0"],
    ["app.example:65536"],
    [7],
    [10n],
    [null],
  ])("%s is none", (one) => {
    expect(() => ownHosts([one])).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
  });

  test("is a list, and not empty", () => {
    for (const wrong of ["app.example", []]) {
      expect(() => ownHosts(wrong)).toThrow(expect.objectContaining({ code: "OPTION_INVALID" }));
    }
  });
});

describe("the server's cors option", () => {
  const ok = "https://ok.example";
  const headers = { host: "app.example", origin: ok };
  const foreign = { host: "app.example", origin: "https://evil.example" };

  // socketio/engine.io#641
  test.each<[string, Cors]>([
    ["a function of the request", (_request, done) => done(null, { origin: [ok] })],
    ["an async function of the request", async (_request, done) => done(null, { origin: ok })],
    ["a function that answers late", (_request, done) => void setImmediate(done, null, { origin: ok })],
    [
      "a function whose origin is a function",
      (_request, done) => done(null, { origin: (o: string, say: Say) => say(null, o === ok) }),
    ],
    ["origin as an async function", { origin: async (origin: string, done: Say) => done(null, origin === ok) }],
    [
      "origin as a function that gives a list",
      { origin: (_origin: string, done: Say) => done(null, [/^https:\/\/ok/]) },
    ],
    ["lists in lists", { origin: [[ok], "https://other.example"] }],
    [
      "a function that looks at the request",
      (request, done) => done(null, { origin: request.headers.host === "app.example" && ok }),
    ],
  ])("as %s", async (_, cors) => {
    expect(await isRefused({ headers, cors })).toBe(false);
    expect(await isRefused({ headers: foreign, cors })).toBe(true);
  });

  test.each<[string, Cors]>([
    ["false", false],
    ["a function that gives an error", (_request, done) => done(new Error("no"))],
    ["a function that gives nothing", (_request, done) => done(null)],
    ["a function that gives the wildcard", (_request, done) => done(null, { origin: "*", credentials: true })],
    ["a function that allows all, without credentials", (_request, done) => done(null, { origin: true })],
    [
      "origin as a function that gives an error",
      { origin: (_origin: string, done: Say) => done(new Error("no"), true) },
    ],
    ["origin as a function that gives the wildcard", { origin: (_origin: string, done: Say) => done(null, "*") }],
  ])("as %s, refuses", async (_, cors) => {
    expect(await isRefused({ headers, cors })).toBe(true);
  });

  test.each<[string, Cors]>([
    [
      "a function that throws",
      () => {
        throw new Error("broken");
      },
    ],
    [
      "an async function that rejects",
      async () => {
        throw new Error("broken");
      },
    ],
    [
      "origin as a function that throws",
      {
        origin: () => {
          throw new Error("broken");
        },
      },
    ],
    [
      "origin as an async function that rejects",
      {
        origin: async () => {
          throw new Error("broken");
        },
      },
    ],
  ])("as %s, is an error", async (_, cors) => {
    await expect(isRefused({ headers, cors })).rejects.toThrow("broken");
  });

  test.each<[string, Partial<Asked>]>([
    ["cors", { cors: () => undefined }],
    ["cors.origin", { cors: { origin: () => undefined } }],
    ["origins", { origins: () => new Promise(() => undefined) }],
  ])("%s that never answers is an error after a while", async (name, asked) => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const judged = isRefused({ headers, ...asked });
    const failed = expect(judged).rejects.toThrow(`${name} did not answer within ${answerTimeout} ms.`);
    await vi.advanceTimersByTimeAsync(answerTimeout);
    await failed;
    expect(vi.getTimerCount()).toBe(0);
  });
});

type Say = (error: unknown, answer?: unknown) => void;
