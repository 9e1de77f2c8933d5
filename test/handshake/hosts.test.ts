// The option `hosts`: by which names this server can be reached, and what is no name.
import { describe, expect, test } from "vitest";
import { ownHosts } from "../../src/handshake/hosts.js";

describe("an origin is at one of the hosts", () => {
  const hosts = [
    "app.example",
    "localhost:3000",
    "padded.example:00443",
    ".tenants.example",
    "[::1]",
    "bücher.example",
    "tls.example:443",
    "plain.example:80",
    "a",
    "last.example:65535",
  ];
  const isOwn = ownHosts(hosts);

  test.each<[string, boolean]>([
    ["http://app.example", true],
    ["http://app.example:8080", true],
    ["https://APP.example", true],
    ["http://app.example.evil.example", false],
    ["http://app.example.", false],
    ["http://sub.app.example", false],
    ["http://localhost:3000", true],
    ["http://localhost", false],
    ["http://localhost:3001", false],
    ["https://padded.example", true],
    ["http://tenants.example", true],
    ["http://one.tenants.example", true],
    ["http://one.two.tenants.example:81", true],
    ["http://eviltenants.example", false],
    ["http://tenants.example.evil.example", false],
    ["http://[0:0:0:0:0:0:0:1]:9000", true],
    ["http://xn--bcher-kva.example", true],
    ["https://tls.example", true],
    ["http://tls.example", false],
    ["http://tls.example:443", true],
    ["http://plain.example", true],
    ["https://plain.example", false],
    ["http://a", true],
    ["http://last.example:65535", true],
    ["http://evil.example", false],
  ])("%s: %s", (origin, answer) => {
    expect(isOwn?.(origin)).toBe(answer);
  });
});

test("without the option there is no rule", () => expect(ownHosts(undefined)).toBeUndefined());

describe("a host is", () => {
  test.each([
    ["https://app.example", 'a string ("https://app.example")'],
    ["app.example/path", 'a string ("app.example/path")'],
    ["", "an empty string"],
    [".", 'a string (".")'],
    ["..example", 'a string ("..example")'],
    [":3000", 'a string (":3000")'],
    ["a b", 'a string ("a b")'],
    [" app.example", 'a string (" app.example")'],
    ["app.example ", 'a string ("app.example ")'],
    ["*.app.example", 'a string ("*.app.example")'],
    ["app.*", 'a string ("app.*")'],
    ["app.example\\evil", 'a string ("app.example\\\\evil")'],
    ["user@app.example", 'a string ("user@app.example")'],
    ["app.example?", 'a string ("app.example?")'],
    ["app.example#", 'a string ("app.example#")'],
    ["app.example:", 'a string ("app.example:")'],
    ["app.example:x", 'a string ("app.example:x")'],
    ["app.example:0", 'a string ("app.example:0")'],
    ["app.example:65536", 'a string ("app.example:65536")'],
    ["app.example:000080", 'a string ("app.example:000080")'],
    ["app.example:80:80", 'a string ("app.example:80:80")'],
    ["[::1", 'a string ("[::1")'],
    ["[]", 'a string ("[]")'],
    ["[evil]", 'a string ("[evil]")'],
    ["x[::1]", 'a string ("x[::1]")'],
    ["a%", 'a string ("a%")'],
    [7, "a number"],
    [10n, "a bigint"],
    [null, "null"],
    [["app.example"], "an array"],
  ])("not %s", (host, shown) => {
    const names = '"app.example.com", "localhost:3000", or ".example.com" with all below it';
    expect(() => ownHosts(["app.example", host])).toThrow(
      expect.objectContaining({
        code: "OPTION_INVALID",
        message: expect.stringContaining(`hosts must contain names such as ${names}, not ${shown}.`),
      }),
    );
  });
});

test.each([
  ["app.example", "hosts must be a list of names, not a string."],
  [null, "hosts must be a list of names, not null."],
  [[], "hosts must be a list of at least one name: otherwise nobody reaches this server."],
])("hosts that are %j are refused with the reason", (hosts, reason) => {
  const message = expect.stringContaining(reason);
  expect(() => ownHosts(hosts)).toThrow(expect.objectContaining({ code: "OPTION_INVALID", message }));
});
