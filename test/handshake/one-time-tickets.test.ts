// Tickets by themselves: what is refused is always refused with the same code.
import session from "express-session";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createSessions, memoryStore } from "../../src/index.js";
import { SessionError } from "../../src/errors.js";
import { OneTimeTickets, withoutSecret } from "../../src/handshake/one-time-tickets.js";
import { clock } from "../../src/testing/index.js";
import { backendOf } from "../../src/store/live-store.js";

it("a ticket of a session that has ended, withdrawn or used is TICKET_INVALID, and only one that is open can be withdrawn", async () => {
  const store = memoryStore();
  const tickets = new OneTimeTickets(["secret"], "test", backendOf(store), 1000);
  const sessions = createSessions({ secret: "secret", store });
  const create = async (id: string): Promise<void> => {
    await new Promise<void>((resolve) => {
      store.set(id, { cookie: new session.Cookie() }, () => resolve());
    });
  };
  const refused = expect.objectContaining({ code: "TICKET_INVALID" });

  await create("one");
  const { ticket } = await tickets.issue("one", "holder");
  await expect(tickets.redeem(ticket, ["another"])).rejects.toThrow(refused);
  await expect(tickets.redeem(ticket, ["holder"], "two")).rejects.toThrow(refused);
  expect(await tickets.redeem(ticket, ["holder"], "one")).toBe("one");
  await expect(tickets.redeem(ticket, ["holder"])).rejects.toThrow(refused);
  expect(await tickets.withdraw(ticket)).toBe(false);

  const { ticket: withdrawn } = await tickets.issue("one", "holder");
  expect(await tickets.withdraw(withdrawn)).toBe(true);
  await expect(tickets.redeem(withdrawn, ["holder"])).rejects.toThrow(refused);

  const { ticket: orphan } = await tickets.issue("one", "holder");
  await sessions.destroy("one");
  await expect(tickets.redeem(orphan, ["holder"])).rejects.toThrow(refused);
  expect(await tickets.withdraw(orphan)).toBe(false);
  await expect(tickets.issue("one", "holder")).rejects.toThrow(expect.objectContaining({ code: "SESSION_DESTROYED" }));
  await sessions.close();
});

it("a ticket stays good when the system's clock is set, also where others are issued after that", async () => {
  const store = memoryStore();
  const tickets = new OneTimeTickets(["secret"], "test", backendOf(store), 60_000);
  await store.set("one", { cookie: new session.Cookie() } as never);
  onTestFinished(() => void vi.useRealTimers());
  const day = 86_400_000;
  for (const step of [day, -day, -day]) {
    const { ticket } = await tickets.issue("one", "holder");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + step });
    const { ticket: later } = await tickets.issue("one", "holder");
    expect(await tickets.redeem(ticket, ["holder"])).toBe("one");
    expect(await tickets.redeem(later, ["holder"])).toBe("one");
  }
});

it("tickets that are over are not kept in the session", async () => {
  const store = memoryStore();
  const tickets = new OneTimeTickets(["secret"], "test", backendOf(store), 60_000);
  await store.set("one", { cookie: new session.Cookie() } as never);
  for (let round = 0; round < 3; round++) {
    await tickets.issue("one", "holder");
    // A millisecond more: the two clocks may be rounded apart.
    await clock.advance(60_001);
  }
  await tickets.issue("one", "holder");
  const text = await backendOf(store).read("one", (found) => found as string);
  expect(Object.keys(JSON.parse(text)["__tickets"])).toHaveLength(1);
});

describe("a ticket", () => {
  const refused = expect.objectContaining({ code: "TICKET_INVALID" });

  async function withSession(lifetime = 60_000) {
    const store = memoryStore();
    await store.set("one", { cookie: new session.Cookie() } as never);
    const backend = backendOf(store);
    return { backend, tickets: new OneTimeTickets(["secret"], "test", backend, lifetime) };
  }

  it("says how long it lasts, and lasts so long", async () => {
    const { tickets } = await withSession(5000);
    const early = await tickets.issue("one", "holder");
    const late = await tickets.issue("one", "holder");
    expect(early.expiresIn).toBe(5000);
    await clock.advance(4500);
    expect(await tickets.redeem(early.ticket, ["holder"])).toBe("one");
    await clock.advance(500);
    await expect(tickets.redeem(late.ticket, ["holder"])).rejects.toThrow(refused);
  });

  it("that is over can be withdrawn while the session has it, once", async () => {
    const { tickets } = await withSession(5000);
    const { ticket } = await tickets.issue("one", "holder");
    await clock.advance(5000);
    expect(await tickets.withdraw(ticket)).toBe(true);
    expect(await tickets.withdraw(ticket)).toBe(false);
  });

  it("counts for any of its holder's names", async () => {
    const { tickets } = await withSession();
    const { ticket } = await tickets.issue("one", "");
    await expect(tickets.redeem(ticket, [])).rejects.toThrow(refused);
    expect(await tickets.redeem(ticket, ["holder", ""])).toBe("one");
  });

  it.each([undefined, null, 7, {}, [], "", "no ticket", "A".repeat(100)])(
    "is not %j, and the store is not asked",
    async (value) => {
      const { backend, tickets } = await withSession();
      const asked = vi.spyOn(backend.tickets, "consume");
      await expect(tickets.redeem(value, ["holder", ""])).rejects.toThrow(refused);
      expect(asked).not.toHaveBeenCalled();
    },
  );

  it("is worth nothing for another purpose, or with another secret", async () => {
    const { backend, tickets } = await withSession();
    const { ticket } = await tickets.issue("one", "holder");
    for (const other of [
      new OneTimeTickets(["secret"], "other", backend, 60_000),
      new OneTimeTickets(["another"], "test", backend, 60_000),
    ]) {
      await expect(other.redeem(ticket, ["holder"])).rejects.toThrow(refused);
    }
    const rotated = new OneTimeTickets(["another", "secret"], "test", backend, 60_000);
    expect(await rotated.redeem(ticket, ["holder"])).toBe("one");
  });

  it("is not used up by a wrong holder or a wrong session", async () => {
    const { tickets } = await withSession();
    const { ticket } = await tickets.issue("one", "holder");
    await expect(tickets.redeem(ticket, ["another"])).rejects.toThrow(refused);
    await expect(tickets.redeem(ticket, ["holder"], "two")).rejects.toThrow(refused);
    expect(await tickets.redeem(ticket, ["holder"])).toBe("one");
  });

  it("stays as it is where the store does not answer, and the error is the store's", async () => {
    const { backend, tickets } = await withSession();
    const { ticket } = await tickets.issue("one", "holder");
    const outage = new SessionError("STORE_UNAVAILABLE");
    const down = vi.spyOn(backend.tickets, "consume").mockRejectedValue(outage);
    await expect(tickets.redeem(ticket, ["holder"])).rejects.toBe(outage);
    await expect(tickets.withdraw(ticket)).rejects.toBe(outage);
    down.mockRestore();
    expect(await tickets.redeem(ticket, ["holder"])).toBe("one");
  });
});

it("tickets without a secret are a wrong option, and the message says which", () => {
  expect(withoutSecret()).toMatchObject({
    code: "OPTION_INVALID",
    message: expect.stringContaining("createSessions({ middleware, secret })"),
  });
});
