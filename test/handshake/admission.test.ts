// Who may come in, with which session: origin, id and ticket, over a real store and real live sessions.
import type { IncomingMessage } from "node:http";
import { sign } from "cookie-signature";
import session from "express-session";
import { describe, expect, it, onTestFinished, test, vi } from "vitest";
import { type ErrorCode, SessionError } from "../../src/errors.js";
import {
  Admission,
  type AdmissionHost,
  type AdmissionRules,
  canTicketHelp,
  type Refusal,
} from "../../src/handshake/admission.js";
import type { Cors } from "../../src/handshake/cors.js";
import { ownHosts } from "../../src/handshake/hosts.js";
import { OneTimeTickets } from "../../src/handshake/one-time-tickets.js";
import { ProxyTrust } from "../../src/handshake/proxy-trust.js";
import { fromCookie, fromReader } from "../../src/handshake/session-id.js";
import { memoryStore } from "../../src/index.js";
import { Registry } from "../../src/session/registry.js";
import { backendOf } from "../../src/store/live-store.js";
import { requestOf } from "../support/requests.js";

const host = "app.example";
const own = `http://${host}`;
const page = "https://page.example";
const evil = "https://evil.example";

/** The cookie header that carries this id. */
const cookieOf = (id: string): string => `connect.sid=s:${sign(id, "secret")}`;
const withCookie = (id: string): IncomingMessage => requestOf({ host, cookie: cookieOf(id) });

interface Options {
  readonly rules?: Partial<AdmissionRules>;
  readonly host?: Partial<AdmissionHost>;
}

/** The door of one `attach()`, with a session "ada" in the store; errors and refusals are collected. */
async function openDoor({ rules, host: parts }: Options = {}) {
  const store = memoryStore();
  const backend = backendOf(store);
  const quiet = { change() {}, end() {}, error() {}, lost() {}, wantsChanges: () => false };
  const registry = new Registry(backend, { lease: 30_000, maxStale: 300_000, maxUnsaved: 100 }, quiet);
  onTestFinished(() => registry.close());
  const create = async (id: string): Promise<void> => {
    await store.set(id, { cookie: new session.Cookie() } as never);
  };
  await create("ada");
  const errors: unknown[] = [];
  const refusals: Refusal[] = [];
  const tickets = new OneTimeTickets(["secret"], "test", backend, 60_000);
  const issueSession = vi.fn(async () => {
    await create("new");
    return { id: "new", setCookie: cookieOf("new") };
  });
  const admission = new Admission(
    {
      registry,
      trust: new ProxyTrust(false),
      exists: (id) => backend.has(id),
      issueSession,
      onRefused: (refusal) => refusals.push(refusal),
      onError: (error) => errors.push(error),
      ...parts,
    },
    {
      missing: "reject",
      origins: [page],
      requireOrigin: false,
      findId: fromCookie("connect.sid", ["secret"]),
      tickets,
      ...rules,
    },
  );

  /** The id that a client comes in with; undefined for an anonymous one, or the error that it is told. */
  async function admit(request: IncomingMessage | null | undefined, cors?: Cors, isTicketToCome = false) {
    const connection = { end: () => undefined };
    try {
      const live = await admission.admit(request, connection, cors, isTicketToCome);
      return live?.id;
    } catch (error) {
      return error as SessionError;
    }
  }
  /** Its code. */
  const refused = async (...handshake: Parameters<typeof admit>): Promise<ErrorCode | undefined> =>
    ((await admit(...handshake)) as SessionError | undefined)?.code;

  return { admission, admit, backend, create, errors, issueSession, refusals, refused, registry, store, tickets };
}

function catchWarnings() {
  const emitWarning = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  onTestFinished(() => emitWarning.mockRestore());
  return emitWarning;
}

const broken = (): never => {
  throw new Error("broken");
};
const rejecting = (reason: unknown) => (): Promise<never> => Promise.reject(reason);

describe("a client comes in", () => {
  it("with the session of its cookie, as a connection of it", async () => {
    const { admit, errors, refusals, registry } = await openDoor();
    expect(await admit(withCookie("ada"))).toBe("ada");
    expect(await admit(withCookie("ada"))).toBe("ada");
    expect(registry.get("ada")?.connections).toBe(2);
    expect([errors, refusals]).toEqual([[], []]);
  });

  it("from the own origin, from a listed one, and from one that the server's cors option allows", async () => {
    const { admit } = await openDoor();
    const request = (origin: string): IncomingMessage => requestOf({ host, origin, cookie: cookieOf("ada") });
    expect(await admit(request(own))).toBe("ada");
    expect(await admit(request(page))).toBe("ada");
    expect(await admit(request("https://ok.example"), { origin: "https://ok.example" })).toBe("ada");
  });
});

describe("a foreign origin", () => {
  const origin = "https://foreign.example";
  const request = requestOf({ host, origin, cookie: cookieOf("ada") });

  it("is refused, reported and told to the developer, whatever session it brings", async () => {
    const warned = catchWarnings();
    const { errors, refusals, refused, registry } = await openDoor({ rules: { missing: "anonymous" } });
    expect(await refused(request)).toBe("ORIGIN_REFUSED");
    expect(refusals).toEqual([{ code: "ORIGIN_REFUSED", origin, request }]);
    expect(refusals[0]?.request).toBe(request);
    expect(warned).toHaveBeenCalledExactlyOnceWith(
      expect.stringContaining(`"${origin}", the server takes itself for "http://${host}". `),
      {
        code: "ORIGIN_REFUSED",
        type: "SocketSessionWarning",
      },
    );
    expect(registry.size).toBe(0);
    expect(errors).toEqual([]);
  });

  it("is reported also where a ticket is to come", async () => {
    catchWarnings();
    const { refusals, refused } = await openDoor();
    expect(await refused(request, undefined, true)).toBe("ORIGIN_REFUSED");
    expect(refusals).toHaveLength(1);
  });

  it("is cut in the warning where it is long", async () => {
    const warned = catchWarnings();
    const { refusals, refused } = await openDoor();
    const long = `https://${"a".repeat(300)}.example`;
    expect(await refused(requestOf({ host, origin: long }))).toBe("ORIGIN_REFUSED");
    expect(warned.mock.lastCall?.[0]).toContain(`"${long.slice(0, 200)}", the server`);
    expect(warned.mock.lastCall?.[0]).not.toContain(long.slice(0, 201));
    expect(refusals[0]?.origin).toBe(long);
  });

  it("is refused where the function that decides throws; its error is reported", async () => {
    catchWarnings();
    const { errors, refusals, refused } = await openDoor({ rules: { origins: broken } });
    expect(await refused(request)).toBe("ORIGIN_REFUSED");
    expect(errors).toEqual([new Error("broken")]);
    expect(refusals).toEqual([expect.objectContaining({ origin })]);
  });
});

test("a refusal is reported also where the application has dropped the request", async () => {
  const { admission, refusals } = await openDoor();
  admission.report("ORIGIN_REFUSED", undefined);
  expect(refusals).toEqual([{ code: "ORIGIN_REFUSED", origin: undefined, request: undefined }]);
});

test("a request whose host cannot be told is refused, and named (none) without an origin", async () => {
  const warned = catchWarnings();
  const trust = new ProxyTrust(undefined, ownHosts([host]));
  trust.learn({ get: () => broken });
  const { errors, refusals, refused } = await openDoor({ host: { trust } });
  const request = withCookie("ada");
  expect(await refused(request)).toBe("ORIGIN_REFUSED");
  expect(errors).toEqual([new Error("broken")]);
  expect(refusals).toEqual([{ code: "ORIGIN_REFUSED", origin: undefined, request }]);
  expect(warned).toHaveBeenCalledExactlyOnceWith(
    expect.stringContaining('"(none)", the server takes itself for "(unknown)".'),
    expect.anything(),
  );
});

describe("a client without a session", () => {
  const unsigned = requestOf({ host, cookie: "connect.sid=ada" });
  const none = requestOf({ host });
  const outage = { findId: () => ({ code: "STORE_UNAVAILABLE" }) as const };

  test.each<[string, IncomingMessage | null | undefined, Partial<AdmissionRules>, ErrorCode | undefined]>([
    ["is refused without a cookie", none, {}, "SESSION_MISSING"],
    ["is refused with a cookie that nobody signed", unsigned, {}, "SESSION_INVALID"],
    ["is refused with a session that the store has not", withCookie("gone"), {}, "SESSION_UNKNOWN"],
    ["is refused without a request", undefined, {}, "SESSION_MISSING"],
    ["is refused without a request that was there", null, {}, "SESSION_MISSING"],
    ["is refused while the session cannot be found", none, outage, "STORE_UNAVAILABLE"],
    ["may be anonymous without a cookie", none, { missing: "anonymous" }, undefined],
    ["may be anonymous with a cookie that nobody signed", unsigned, { missing: "anonymous" }, undefined],
    ["may be anonymous with a session that the store has not", withCookie("gone"), { missing: "anonymous" }, undefined],
    ["may be anonymous without a request", undefined, { missing: "anonymous" }, undefined],
    [
      "is not anonymous while its session cannot be found",
      none,
      { ...outage, missing: "anonymous" },
      "STORE_UNAVAILABLE",
    ],
    ["is refused where none was issued", none, { missing: "create" }, "SESSION_MISSING"],
    [
      "is refused where none was issued for an unknown one",
      withCookie("gone"),
      { missing: "create" },
      "SESSION_UNKNOWN",
    ],
  ])("%s", async (_, request, rules, code) => {
    const { errors, refusals, refused } = await openDoor({ rules });
    expect(await refused(request)).toBe(code);
    expect(refusals).toEqual(code === undefined ? [] : [{ code, origin: undefined, request: request ?? undefined }]);
    expect(errors).toEqual([]);
  });

  it("is not reported where a ticket is to come that can help", async () => {
    const { refusals, refused } = await openDoor();
    expect(await refused(none, undefined, true)).toBe("SESSION_MISSING");
    expect(await refused(unsigned, undefined, true)).toBe("SESSION_INVALID");
    expect(await refused(withCookie("gone"), undefined, true)).toBe("SESSION_UNKNOWN");
    expect(refusals).toEqual([]);
    const { refusals: others, refused: refusedDown } = await openDoor({ rules: outage });
    expect(await refusedDown(none, undefined, true)).toBe("STORE_UNAVAILABLE");
    expect(others).toHaveLength(1);
  });

  it("has an invalid one where the application's reader throws; the error is reported", async () => {
    const findId = fromReader(broken, () => ({ id: "ada" }));
    const { errors, refused } = await openDoor({ rules: { findId } });
    expect(await refused(none)).toBe("SESSION_INVALID");
    expect(errors).toEqual([new Error("broken")]);
  });

  it("is not anonymous where its session has a new id: it comes again with that", async () => {
    const { admit, refused, store } = await openDoor({ rules: { missing: "anonymous" } });
    expect(await admit(withCookie("ada"))).toBe("ada");
    backendOf(store).recordEnd("ada", "SESSION_ROTATED");
    await store.destroy("ada");
    expect(await refused(withCookie("ada"))).toBe("SESSION_ROTATED");
  });
});

describe("an error on the way to the session", () => {
  const failing = (error: unknown): Options => ({
    rules: { missing: "anonymous" },
    host: { registry: { acquire: rejecting(error) } as never },
  });

  it("is what the client is told, where it has a code", async () => {
    const outage = new SessionError("STORE_UNAVAILABLE");
    const { admit, errors, refusals } = await openDoor(failing(outage));
    expect(await admit(withCookie("ada"))).toBe(outage);
    expect(errors).toEqual([]);
    expect(refusals).toEqual([expect.objectContaining({ code: "STORE_UNAVAILABLE", origin: undefined })]);
  });

  it("is an outage for the client otherwise, and reported", async () => {
    const bug = new TypeError("a bug");
    const { admit, errors, refusals } = await openDoor(failing(bug));
    expect(await admit(withCookie("ada"))).toMatchObject({ code: "STORE_UNAVAILABLE", cause: bug });
    expect(errors).toEqual([bug]);
    expect(refusals).toHaveLength(1);
  });

  it("is no refusal where the sessions are closed", async () => {
    const { refusals, refused, registry } = await openDoor();
    await registry.close();
    expect(await refused(withCookie("ada"))).toBe("SESSIONS_CLOSED");
    expect(refusals).toEqual([]);
  });
});

describe('a session for a client that brings none, with missing: "create"', () => {
  const rules = { missing: "create" } as const;

  it("is issued before the handshake is answered, with its cookie, and the client comes in with it", async () => {
    const { admission, admit, errors, issueSession } = await openDoor({ rules });
    const request = requestOf({ host });
    expect(admission.setCookie(request)).toBeUndefined();
    await admission.issueSession(request, undefined);
    expect(issueSession).toHaveBeenCalledExactlyOnceWith(request);
    expect(admission.setCookie(request)).toBe(cookieOf("new"));
    expect(await admit(request)).toBe("new");
    expect(errors).toEqual([]);
  });

  test.each<[string, IncomingMessage, number]>([
    ["is issued where nobody signed the cookie", requestOf({ host, cookie: "connect.sid=ada" }), 1],
    ["is issued where the store has not the one of the cookie", withCookie("gone"), 1],
    ["is issued for a listed origin", requestOf({ host, origin: page }), 1],
    [
      "is issued for an origin that the server's cors option allows",
      requestOf({ host, origin: "https://ok.example" }),
      1,
    ],
    ["is not issued where there is one", withCookie("ada"), 0],
    ["is not issued for a foreign origin", requestOf({ host, origin: evil }), 0],
  ])("%s", async (_, request, times) => {
    const { admission, errors, issueSession } = await openDoor({ rules });
    await admission.issueSession(request, { origin: "https://ok.example" });
    expect(issueSession).toHaveBeenCalledTimes(times);
    expect(admission.setCookie(request)).toBe(times === 0 ? undefined : cookieOf("new"));
    expect(errors).toEqual([]);
  });

  it("is not issued while the cookie's cannot be found", async () => {
    const findId = () => ({ code: "STORE_UNAVAILABLE" }) as const;
    const { admission, issueSession } = await openDoor({ rules: { ...rules, findId } });
    await admission.issueSession(requestOf({ host }), undefined);
    expect(issueSession).not.toHaveBeenCalled();
  });

  it("is none where the cookie cannot be set: the client is refused", async () => {
    const { admission, refused } = await openDoor({ rules, host: { issueSession: async () => undefined } });
    const request = requestOf({ host });
    await admission.issueSession(request, undefined);
    expect(admission.setCookie(request)).toBeUndefined();
    expect(await refused(request)).toBe("SESSION_MISSING");
  });

  test.each<[string, Partial<AdmissionHost>, unknown, ErrorCode]>([
    ["an error", { issueSession: rejecting(new Error("full")) }, new Error("full"), "STORE_UNAVAILABLE"],
    ["undefined", { issueSession: rejecting(undefined) }, undefined, "STORE_UNAVAILABLE"],
    ["null", { issueSession: rejecting(null) }, null, "STORE_UNAVAILABLE"],
    [
      "a wrong option, which is no outage",
      { issueSession: rejecting(new SessionError("OPTION_INVALID")) },
      new SessionError("OPTION_INVALID"),
      "SESSION_MISSING",
    ],
  ])("that fails with %s is reported, and the client is told", async (_, parts, error, code) => {
    const { admission, errors, refused } = await openDoor({ rules, host: parts });
    const request = requestOf({ host });
    await admission.issueSession(request, undefined);
    expect(errors).toEqual([error]);
    expect(admission.setCookie(request)).toBeUndefined();
    expect(await refused(request)).toBe(code);
    // Only this handshake is told so.
    expect(await refused(requestOf({ host }))).toBe("SESSION_MISSING");
    expect(errors).toHaveLength(1);
  });

  it("is not issued where the store cannot say whether there is one", async () => {
    const outage = new SessionError("STORE_UNAVAILABLE");
    const { admission, errors, issueSession } = await openDoor({
      rules,
      host: { exists: rejecting(outage) },
    });
    await admission.issueSession(withCookie("gone"), undefined);
    expect(issueSession).not.toHaveBeenCalled();
    expect(errors).toEqual([outage]);
  });

  it.each([
    ["create", true],
    ["reject", false],
    ["anonymous", false],
  ] as const)("has to be asked for before the answer with %s: %s", async (missing, issuesSessions) => {
    const { admission } = await openDoor({ rules: { missing } });
    expect(admission.issuesSessions).toBe(issuesSessions);
  });
});

describe("tickets count that were fetched", () => {
  test.each<[string, IncomingMessage | null | undefined, readonly string[]]>([
    ["by no page, without a request", undefined, [""]],
    ["by no page, without a request that was there", null, [""]],
    ["by no page, without an origin", requestOf({ host }), [""]],
    ["by the own page or by none, of the own origin", requestOf({ host, origin: own }), [own, ""]],
    [
      "by the own page or by none, where the browser says so",
      requestOf({ host, "sec-fetch-site": "same-origin" }),
      [own, ""],
    ],
    ["by that page, of another origin", requestOf({ host, origin: evil }), [evil]],
    ["by that page, of an opaque origin", requestOf({ host, origin: "null" }), ["null"]],
    ["by no page, without a host", requestOf({}), [""]],
  ])("%s", async (_, request, holders) => {
    const { admission } = await openDoor();
    expect(admission.holdersOf(request)).toEqual(holders);
  });

  it("by nobody, where the application's trust function throws; the error is reported", async () => {
    const trust = new ProxyTrust(undefined);
    trust.learn({ get: () => broken });
    const { admission, errors } = await openDoor({ host: { trust } });
    expect(admission.holdersOf(requestOf({ host }))).toEqual([]);
    expect(errors).toEqual([new Error("broken")]);
  });
});

describe("a ticket", () => {
  const connection = { end: () => undefined };
  const request = requestOf({ host, origin: page });
  const holders = [page];
  const by = { connection, holders, live: undefined, request };

  it("lets in with its session, as a connection of it, once", async () => {
    const { admission, refusals, registry, tickets } = await openDoor();
    const { ticket } = await tickets.issue("ada", page);
    const live = await admission.redeemTicket(ticket, by);
    expect(live).toBe(registry.get("ada"));
    expect(live.connections).toBe(1);
    expect(refusals).toEqual([]);
    await expect(admission.redeemTicket(ticket, by)).rejects.toMatchObject({ code: "TICKET_INVALID" });
    expect(refusals).toEqual([{ code: "TICKET_INVALID", origin: undefined, request }]);
  });

  it("is used up where the client has its session already", async () => {
    const { admission, registry, tickets } = await openDoor();
    const live = await registry.acquire("ada", connection);
    const { ticket } = await tickets.issue("ada", page);
    expect(await admission.redeemTicket(ticket, { ...by, live })).toBe(live);
    expect(live.connections).toBe(1);
    await expect(admission.redeemTicket(ticket, by)).rejects.toMatchObject({ code: "TICKET_INVALID" });
  });

  it("for another session than the client's is refused", async () => {
    const { admission, create, refusals, registry, tickets } = await openDoor();
    await create("bob");
    const live = await registry.acquire("ada", connection);
    const { ticket } = await tickets.issue("bob", page);
    const refused = admission.redeemTicket(ticket, { ...by, live, request: null });
    await expect(refused).rejects.toMatchObject({ code: "TICKET_INVALID" });
    expect(refusals).toEqual([{ code: "TICKET_INVALID", origin: undefined, request: undefined }]);
  });

  it.each(["SESSION_DESTROYED", "SESSION_EXPIRED", "SESSION_ROTATED", "SESSION_UNKNOWN"] as const)(
    "is invalid where the session ended just now: %s",
    async (code) => {
      const acquire = rejecting(new SessionError(code));
      const { admission, refusals, tickets } = await openDoor({ host: { registry: { acquire } as never } });
      const { ticket } = await tickets.issue("ada", page);
      await expect(admission.redeemTicket(ticket, by)).rejects.toMatchObject({ code: "TICKET_INVALID" });
      expect(refusals).toEqual([expect.objectContaining({ code: "TICKET_INVALID" })]);
    },
  );

  it("stays a matter of the store while that does not answer", async () => {
    const { admission, backend, errors, refusals, tickets } = await openDoor();
    const { ticket } = await tickets.issue("ada", page);
    const outage = new SessionError("STORE_UNAVAILABLE");
    vi.spyOn(backend.tickets, "consume").mockRejectedValueOnce(outage);
    await expect(admission.redeemTicket(ticket, by)).rejects.toBe(outage);
    expect(refusals).toEqual([expect.objectContaining({ code: "STORE_UNAVAILABLE" })]);
    const bug = new TypeError("a bug");
    vi.spyOn(backend.tickets, "consume").mockRejectedValueOnce(bug);
    await expect(admission.redeemTicket(ticket, by)).rejects.toMatchObject({ code: "STORE_UNAVAILABLE", cause: bug });
    expect(errors).toEqual([bug]);
  });

  it("is taken where the option says so", async () => {
    expect((await openDoor()).admission.takesTickets).toBe(true);
    expect((await openDoor({ rules: { tickets: undefined } })).admission.takesTickets).toBe(false);
  });

  it.each<[ErrorCode | undefined, boolean]>([
    ["SESSION_MISSING", true],
    ["SESSION_INVALID", true],
    ["SESSION_UNKNOWN", true],
    ["SESSION_DESTROYED", false],
    ["SESSION_EXPIRED", false],
    ["SESSION_ROTATED", false],
    ["STORE_UNAVAILABLE", false],
    ["ORIGIN_REFUSED", false],
    ["TICKET_INVALID", false],
    [undefined, false],
  ])("helps against %s: %s", (code, canHelp) => expect(canTicketHelp(code)).toBe(canHelp));
});

describe("the hint that cors lacks credentials", () => {
  const crossOrigin = requestOf({ host, origin: page });

  // The warning comes once per process: what must not warn goes first.
  it("comes where a page of another origin sends no cookie, and only there", async () => {
    const warned = catchWarnings();
    const { admit, refused } = await openDoor();
    const careless = { origin: page };
    expect(await refused(crossOrigin, undefined)).toBe("SESSION_MISSING");
    for (const cors of [
      false,
      { credentials: false },
      { origin: page, credentials: true },
      ((_, done) => done(null, careless)) satisfies Cors,
    ] as const) {
      expect(await refused(crossOrigin, cors)).toBe("SESSION_MISSING");
    }
    expect(await refused(requestOf({ host }), careless)).toBe("SESSION_MISSING");
    expect(await refused(requestOf({ host, origin: page, cookie: "theme=dark" }), careless)).toBe("SESSION_MISSING");
    expect(await refused(undefined, careless)).toBe("SESSION_MISSING");
    expect(await admit(requestOf({ host, origin: page, cookie: cookieOf("ada") }), careless)).toBe("ada");
    expect(warned).not.toHaveBeenCalled();
    expect(await refused(crossOrigin, careless)).toBe("SESSION_MISSING");
    expect(warned).toHaveBeenCalledExactlyOnceWith(
      expect.any(String),
      expect.objectContaining({ code: "CORS_WITHOUT_CREDENTIALS" }),
    );
  });
});
