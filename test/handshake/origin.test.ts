// Origins are those of the URL standard: what counts as the server's own, what a list allows, and what is no origin.
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Awaitable } from "../../src/internal/awaitable.js";
import { answerTimeout, type Cors } from "../../src/handshake/cors.js";
import { ownHosts } from "../../src/handshake/hosts.js";
import { type AllowedOrigins, originOfPage, refusedOrigin, refusedPage } from "../../src/handshake/origin.js";
import { ProxyTrust } from "../../src/handshake/proxy-trust.js";
import { requestOf } from "../support/requests.js";

interface Asked {
  readonly headers: Record<string, string>;
  readonly isEncrypted?: boolean;
  readonly origins?: AllowedOrigins;
  readonly requireOrigin?: boolean;
  readonly cors?: Cors;
  readonly hosts?: string[];
  readonly proxy?: boolean;
}

/** What a handshake, and a route, are refused for. */
function refusalsOf(asked: Asked): [Awaitable<string | undefined>, Promise<string | undefined>] {
  const { headers, isEncrypted = false, origins = [], requireOrigin = false, cors, hosts, proxy = false } = asked;
  const request = requestOf(headers, { isEncrypted });
  const trust = new ProxyTrust(proxy, ownHosts(hosts));
  const rules = { origins, requireOrigin };
  const byHandshake = async (): Promise<string | undefined> => refusedOrigin(request, rules, trust, cors);
  return [byHandshake(), refusedPage(request, rules, trust)];
}

async function isRefused(asked: Asked): Promise<boolean> {
  const [byHandshake] = refusalsOf(asked);
  return (await byHandshake) !== undefined;
}

const host = "app.example";
const own = `http://${host}`;
const page = "https://page.example";
const evil = "https://evil.example";

/** What its handshake is refused for, and what its route. */
type Row = [rule: string, asked: Asked, handshake: string | undefined, route: string | undefined];

const sites = { same: "same-origin", sister: "same-site", cross: "cross-site", typed: "none" };
const from = (site: string, origin?: string) => ({
  host,
  "sec-fetch-site": site,
  ...(origin !== undefined && { origin }),
});

describe("a request", () => {
  test.each<Row>([
    ["of the own origin passes", { headers: { host, origin: own } }, undefined, undefined],
    [
      "of the own origin in other letters passes",
      { headers: { host, origin: "HTTP://App.Example:80" } },
      undefined,
      undefined,
    ],
    ["of another origin is refused", { headers: { host, origin: evil } }, evil, evil],
    ["of a listed origin passes", { headers: { host, origin: page }, origins: [page] }, undefined, undefined],
    ["of an origin that is not listed is refused", { headers: { host, origin: evil }, origins: [page] }, evil, evil],
    [
      "of what is no origin is refused, whatever allows it",
      { headers: { host, origin: "x" }, origins: () => true },
      "x",
      "x",
    ],
    ["without any origin passes", { headers: { host } }, undefined, undefined],
    ["with an empty origin passes", { headers: { host, origin: "" } }, undefined, undefined],
    [
      "without any origin is refused where one is required",
      { headers: { host }, requireOrigin: true },
      "(none)",
      "(none)",
    ],
    ["of an opaque origin is refused without a usable host", { headers: { origin: "null" } }, "null", "null"],
    ["that a browser's user typed passes", { headers: from(sites.typed) }, undefined, undefined],
    ["of the own page passes without origin", { headers: from(sites.same), requireOrigin: true }, undefined, undefined],
    [
      "of a sister site that hides its origin is refused",
      { headers: from(sites.sister) },
      "(same-site)",
      "(same-site)",
    ],
    ["of a site that hides its origin is refused", { headers: from(sites.cross) }, "(cross-site)", "(cross-site)"],
    ["of a site with an empty origin is refused", { headers: from(sites.cross, "") }, "(cross-site)", "(cross-site)"],
    ["of a listed site passes", { headers: from(sites.cross, page), origins: [page] }, undefined, undefined],
    ["of a listed sister site passes", { headers: from(sites.sister, page), origins: [page] }, undefined, undefined],
    ["of a site that is not listed is refused", { headers: from(sites.cross, evil), origins: [page] }, evil, evil],
    ["of a site that is no origin is refused", { headers: from(sites.cross, "x"), origins: () => true }, "x", "x"],
    [
      "of another site that shows the own origin is refused on routes",
      { headers: from(sites.cross, own) },
      undefined,
      own,
    ],
    [
      "of a sister site that shows the own origin is refused on routes",
      { headers: from(sites.sister, own) },
      undefined,
      own,
    ],
    [
      "that the browser calls same-origin passes on routes, whatever its origin",
      { headers: from(sites.same, evil) },
      evil,
      undefined,
    ],
    [
      "that the server's cors option allows passes as handshake",
      { headers: { host, origin: page }, cors: { origin: page } },
      undefined,
      page,
    ],
    [
      "to a strange host is refused",
      { headers: { ...from(sites.same), origin: own }, hosts: ["else.example"] },
      `(host ${host})`,
      `(host ${host})`,
    ],
    ["to an own host passes", { headers: { host, origin: own }, hosts: [host] }, undefined, undefined],
    [
      "through a trusted proxy passes",
      { headers: { host: "inner", "x-forwarded-host": host, origin: own }, proxy: true },
      undefined,
      undefined,
    ],
  ])("%s", async (_, asked, handshake, route) => {
    expect(await Promise.all(refusalsOf(asked))).toEqual([handshake, route]);
  });
});

describe("a function of origins", () => {
  const headers = { host, origin: page };

  test.each<[string, AllowedOrigins, string | undefined]>([
    ["that says true lets in", () => true, undefined],
    ["that says so later lets in", async () => true, undefined],
    ["that says no refuses", () => false, page],
    ["that says so later refuses", async () => false, page],
    ["that answers with another value refuses", (() => 1) as never, page],
    ["that answers later with another value refuses", (async () => "yes") as never, page],
    [
      "gets the origin and the request",
      (origin, request) => origin === page && request.headers.host === host,
      undefined,
    ],
  ])("%s", async (_, origins, refused) => {
    expect(await Promise.all(refusalsOf({ headers, origins }))).toEqual([refused, refused]);
  });

  test("is not asked for the own origin", async () => {
    const origins = vi.fn(() => false);
    const asked = { headers: { host, origin: own }, origins, cors: origins };
    expect(await isRefused(asked)).toBe(false);
    expect(await isRefused({ ...asked, headers: { host, origin: "HTTP://APP.EXAMPLE" } })).toBe(false);
    expect(origins).not.toHaveBeenCalled();
  });

  test("that never answers is an error after a while", async () => {
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const refused = refusalsOf({ headers, origins: () => new Promise(() => undefined) });
    const failed = Promise.all(
      refused.map((one) => expect(one).rejects.toThrow(`origins did not answer within ${answerTimeout} ms.`)),
    );
    await vi.advanceTimersByTimeAsync(answerTimeout + 1);
    await failed;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("the hint that a proxy is not trusted", () => {
  const behind = { host: "inner", "x-forwarded-host": "public.example", "x-forwarded-proto": "https" };

  test("comes where the request would be of the own origin with the proxy trusted, and only there", async () => {
    const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    onTestFinished(() => emitWarning.mockRestore());
    const refused = (origin: string, headers: Record<string, string> = behind): Promise<boolean> =>
      isRefused({ headers: { ...headers, origin } });
    expect(await refused(evil)).toBe(true);
    // Neither is an origin that the URL standard knows.
    expect(await refused("null", { "x-forwarded-proto": "https" })).toBe(true);
    expect(emitWarning).not.toHaveBeenCalled();
    expect(await refused("https://public.example")).toBe(true);
    expect(emitWarning).toHaveBeenCalledExactlyOnceWith(
      expect.any(String),
      expect.objectContaining({ code: "PROXY_UNTRUSTED" }),
    );
  });
});

describe("the page of a request", () => {
  test.each<[string, Record<string, string>, boolean, string]>([
    ["is its Origin", { host, origin: page }, false, page],
    ["is its Origin as the URL standard writes it", { host, origin: "HTTPS://Page.Example:443" }, false, page],
    ["is its Origin also where that is opaque", { host, origin: "null" }, false, "null"],
    ["is its Origin also where the browser calls it same-origin", from(sites.same, page), false, page],
    ["is of the own origin where the browser says so", from(sites.same), false, own],
    ["is of the own origin where the browser says so, beside an empty Origin", from(sites.same, ""), false, own],
    [
      "is of the own origin as a trusted proxy says",
      { "sec-fetch-site": sites.same, "x-forwarded-host": "public.example" },
      true,
      "http://public.example",
    ],
    ["is none where the own origin is not known", { "sec-fetch-site": sites.same }, false, ""],
    ["is none where another site hides it", from(sites.cross), false, ""],
    ["is none where no browser speaks", { host }, false, ""],
  ])("%s", (_, headers, proxy, origin) => {
    expect(originOfPage(requestOf(headers), new ProxyTrust(proxy))).toBe(origin);
  });
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
    const headers = { host, origin };
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
    const headers = { host, origin };
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
});

// Last, as it takes longest to say what is wrong.
const names = ["bücher.example", "xn--bcher-kva.example", "LOCALHOST", "localhost", "a.example.", "a.example", "[::1]"];
const hostName = fc.oneof(
  fc.constantFrom(...names, "[0:0:0:0:0:0:0:1]", "127.0.0.1", "127.1"),
  fc.domain(),
  fc.ipV4(),
  fc.ipV6().map((address) => `[${address}]`),
);
const port = fc.oneof(
  fc.constantFrom("", ":80", ":443", ":080"),
  fc.integer({ min: 1, max: 65_535 }).map((one) => `:${one}`),
);
const place = fc.tuple(fc.constantFrom("http", "https", "HTTPS"), hostName, port);
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
