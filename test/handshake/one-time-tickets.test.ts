// Tickets by themselves: what is refused is always refused with the same code.
import session from "express-session";
import { expect, it, onTestFinished, vi } from "vitest";
import { createSessions, memoryStore } from "../../src/index.js";
import { OneTimeTickets } from "../../src/handshake/one-time-tickets.js";
import { jump } from "../support/clocks.js";
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
    jump(60_000);
  }
  await tickets.issue("one", "holder");
  const text = await backendOf(store).read("one", (found) => found as string);
  expect(Object.keys(JSON.parse(text)["__tickets"])).toHaveLength(1);
});
