// What a request says of its scheme and host, what a proxy may say instead, and how origins are written.
import type { IncomingMessage } from "node:http";
import { describe, expect, test } from "vitest";
import { ownHosts } from "../../src/handshake/hosts.js";
import {
  canBeOrigin,
  forwardedScheme,
  isEncrypted,
  isOrigin,
  normalize,
  parseOrigin,
  ProxyTrust,
  type TrustingApp,
} from "../../src/handshake/proxy-trust.js";
import { requestOf } from "../support/requests.js";

/** An application that trusts one address, so many hops away. */
function appThatTrusts(address: string, hop: number): TrustingApp {
  const trust = (asked: string, at: number): boolean => asked === address && at === hop;
  return { get: (setting) => (setting === "trust proxy fn" ? trust : undefined) };
}

function learned(proxy: boolean | undefined, ...apps: readonly (TrustingApp | undefined)[]): ProxyTrust {
  const trust = new ProxyTrust(proxy);
  for (const app of apps) trust.learn(app);
  return trust;
}

describe("a proxy is trusted", () => {
  const near = requestOf({}, { address: "10.0.0.1" });
  const far = requestOf({}, { address: "10.0.0.2" });
  const app = appThatTrusts("10.0.0.1", 0);

  test.each([
    ["with proxy: true", learned(true), true],
    ["not with proxy: false", learned(false), false],
    ["not without an option", learned(undefined), false],
    ["with proxy: true, whatever the application says", learned(true, appThatTrusts("none", 0)), true],
    ["not with proxy: false, whatever the application says", learned(false, app), false],
    ["where the application trusts its address", learned(undefined, app), true],
    [
      "where the application that was learned first does",
      learned(undefined, undefined, app, appThatTrusts("", 0)),
      true,
    ],
    [
      "not where the application trusts it only at another hop",
      learned(undefined, appThatTrusts("10.0.0.1", 1)),
      false,
    ],
  ])("%s", (_, trust, isTrusted) => {
    expect(trust.trusts(near)).toBe(isTrusted);
  });

  test("not where the application trusts another address", () => {
    expect(learned(undefined, app).trusts(far)).toBe(false);
    expect(learned(undefined, app).trusts({ headers: {} } as IncomingMessage)).toBe(false);
  });

  test.each([
    ["as the application says of its address and hop", learned(undefined, appThatTrusts("10.0.0.1", 2)), true],
    ["as the application says, also with an option", learned(false, appThatTrusts("10.0.0.1", 2)), true],
    ["as the application says, also against the option", learned(true, app), false],
    ["as the option says, without an application", learned(true), true],
    ["as the option says, where the application has no function", learned(true, { get: () => undefined }), true],
    ["not without an option and an application", learned(undefined), false],
  ])("at a hop %s", (_, trust, isTrusted) => {
    expect(trust.trustsHop("10.0.0.1", 2)).toBe(isTrusted);
  });

  test("by the application that was learned first", () => {
    const trust = learned(undefined, undefined, app, appThatTrusts("", 0));
    expect(trust.app).toBe(app);
    expect(learned(undefined).app).toBeUndefined();
  });
});

describe("the scheme that a proxy says", () => {
  test.each<[string | string[], string | undefined]>([
    ["https", "https"],
    ["HTTPS", "https"],
    [" https ", "https"],
    ["https, http", "https"],
    ["https,http", "https"],
    [["https", "http"], "https"],
    ["wss", "https"],
    ["ws", "http"],
    ["news", "news"],
    ["", undefined],
    [" ", undefined],
    [", https", undefined],
    [[], undefined],
  ])("in X-Forwarded-Proto: %j is %s", (header, scheme) => {
    expect(forwardedScheme(requestOf({ "x-forwarded-proto": header }))).toBe(scheme);
  });

  test("is none without the header", () => expect(forwardedScheme(requestOf({}))).toBeUndefined());
});

describe("a connection", () => {
  test("has TLS as its socket says", () => {
    expect(isEncrypted(requestOf({}, { isEncrypted: true }))).toBe(true);
    expect(isEncrypted(requestOf({}))).toBe(false);
    expect(isEncrypted({ headers: {} } as IncomingMessage)).toBe(false);
  });

  test.each([
    { is: "secure with TLS", isEncrypted: true, proto: undefined, proxy: false, isSecure: true },
    { is: "secure with TLS, whatever a proxy says", isEncrypted: true, proto: "http", proxy: true, isSecure: true },
    { is: "secure where a trusted proxy says so", isEncrypted: false, proto: "https", proxy: true, isSecure: true },
    { is: "not secure where a proxy says so", isEncrypted: false, proto: "https", proxy: false, isSecure: false },
    { is: "not secure where no proxy says so", isEncrypted: false, proto: undefined, proxy: true, isSecure: false },
    { is: "not secure where it says http", isEncrypted: false, proto: "http", proxy: true, isSecure: false },
  ])("is $is", ({ isEncrypted: encrypted, proto, proxy, isSecure }) => {
    const request = requestOf(
      { ...(proto !== undefined && { "x-forwarded-proto": proto }) },
      { isEncrypted: encrypted },
    );
    expect(new ProxyTrust(proxy).isSecure(request)).toBe(isSecure);
  });
});

describe("the server's own origin", () => {
  const forwarded = {
    host: "inner:3000",
    "x-forwarded-host": "App.example, inner",
    "x-forwarded-proto": "https, http",
  };

  test.each<[string, Record<string, string>, boolean, boolean, string | undefined]>([
    ["is that of the Host header", { host: "app.example:3000" }, false, false, "http://app.example:3000"],
    ["is https with TLS", { host: "app.example" }, true, false, "https://app.example"],
    ["leaves default ports out", { host: "app.example:443" }, true, false, "https://app.example"],
    ["is what a trusted proxy says", forwarded, false, true, "https://app.example"],
    ["is not what any other proxy says", forwarded, false, false, "http://inner:3000"],
    ["has the connection's scheme where the proxy says none", { host: "a.example" }, true, true, "https://a.example"],
    [
      "has the Host header where the proxy says none",
      { host: "a", "x-forwarded-proto": "https" },
      false,
      true,
      "https://a",
    ],
    ["is none without a host", {}, false, false, undefined],
    ["is none where the host is no host", { host: "user@app.example" }, false, false, undefined],
    ["is none where the host has a path", { host: "app.example/path" }, false, false, undefined],
  ])("%s", (_, headers, encrypted, proxy, origin) => {
    expect(new ProxyTrust(proxy).originOf(requestOf(headers, { isEncrypted: encrypted }))).toBe(origin);
  });

  test("can be asked for as if the proxy were trusted", () => {
    expect(new ProxyTrust(false).originOf(requestOf(forwarded), true)).toBe("https://app.example");
    expect(new ProxyTrust(true).originOf(requestOf(forwarded), false)).toBe("http://inner:3000");
  });

  test.each<[string, Record<string, string>, boolean, string, boolean]>([
    ["is seen at once", { host: "app.example" }, false, "http://app.example", true],
    ["is seen at once with TLS", { host: "app.example" }, true, "https://app.example", true],
    ["is not http with TLS", { host: "app.example" }, true, "http://app.example", false],
    ["is not https without TLS", { host: "app.example" }, false, "https://app.example", false],
    ["has to be looked at without a host", {}, false, "http://undefined", false],
    ["has to be looked at with X-Forwarded-Host", { host: "a", "x-forwarded-host": "b" }, false, "http://a", false],
    [
      "has to be looked at with X-Forwarded-Proto",
      { host: "a", "x-forwarded-proto": "http" },
      false,
      "http://a",
      false,
    ],
  ])("%s", (_, headers, encrypted, origin, isPlainly) => {
    expect(new ProxyTrust(undefined).isPlainly(requestOf(headers, { isEncrypted: encrypted }), origin)).toBe(isPlainly);
  });
});

describe("a request's host", () => {
  const hosts = ownHosts(["app.example"]);
  const forwarded = { host: "inner", "x-forwarded-host": "app.example" };

  test.each<[string, Record<string, string>, boolean, string | undefined]>([
    ["is no strange one where the server has it", { host: "app.example" }, false, undefined],
    ["is strange where the server has it not", { host: "evil.example:80" }, false, "evil.example:80"],
    ["is strange where there is none", {}, false, "none"],
    ["is what a trusted proxy says", forwarded, true, undefined],
    ["is strange where that proxy says so", { host: "app.example", "x-forwarded-host": "evil" }, true, "evil"],
    ["is not what any other proxy says", forwarded, false, "inner"],
  ])("%s", (_, headers, proxy, strange) => {
    expect(new ProxyTrust(proxy, hosts).strangeHost(requestOf(headers))).toBe(strange);
  });

  test("is never strange where the server lists none", () => {
    expect(new ProxyTrust(false).strangeHost(requestOf({ host: "evil.example" }))).toBeUndefined();
    expect(new ProxyTrust(false).strangeHost(requestOf({}))).toBeUndefined();
  });
});

/** isOrigin, parseOrigin, canBeOrigin, normalize */
type Readings = [boolean, string | undefined, boolean, string | undefined];

test.each<[string, Readings]>([
  ["http://app.example", [true, "http://app.example", true, "http://app.example"]],
  ["HTTP://App.example:80", [true, "http://app.example", true, "http://app.example"]],
  ["https://[::1]:8443", [true, "https://[::1]:8443", true, "https://[::1]:8443"]],
  ["null", [true, undefined, true, undefined]],
  ["NULL", [true, undefined, true, undefined]],
  ["nullx", [false, undefined, false, undefined]],
  ["xnull", [false, undefined, false, undefined]],
  ["file://", [true, undefined, true, undefined]],
  ["chrome-extension://abcdef", [true, undefined, true, undefined]],
  ["h2+x.y-z://host", [true, undefined, true, undefined]],
  ["1x://host", [false, undefined, false, undefined]],
  ["h_x://host", [false, undefined, false, undefined]],
  [" http://app.example", [false, undefined, true, "http://app.example"]],
  ["http://app.example ", [false, undefined, true, "http://app.example"]],
  ["http://app.example/", [false, undefined, true, "http://app.example"]],
  ["http://app.example/path?query", [false, undefined, true, "http://app.example"]],
  ["http://app.example?query", [false, undefined, true, "http://app.example"]],
  ["http://app.example#part", [false, undefined, true, "http://app.example"]],
  ["http://app.example\\path", [false, undefined, true, "http://app.example"]],
  ["http://user@app.example", [false, undefined, true, "http://app.example"]],
  ["http:app.example", [false, undefined, true, "http://app.example"]],
  ["http://*.app.example", [true, "http://*.app.example", false, "http://*.app.example"]],
  ["*", [false, undefined, false, undefined]],
  ["http://app.example:99999", [true, undefined, true, undefined]],
  ["app.example", [false, undefined, false, undefined]],
  ["", [false, undefined, false, undefined]],
])("%j: can it be an Origin header, which, may a list have it, which URL is it", (text, readings) => {
  expect([isOrigin(text), parseOrigin(text), canBeOrigin(text), normalize(text)]).toEqual(readings);
});
