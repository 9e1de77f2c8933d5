// The oldest express-session that is supported: the sources get it, too.
import session from "express-session";
// @ts-expect-error: the types are those of the newest
import oldest from "express-session-1.18.0";
import { expect, test, vi } from "vitest";
import { expressSessionContract } from "../contract/express-session.js";

// @ts-expect-error: as above
vi.mock("express-session", () => import("express-session-1.18.0"));

test("these tests run with express-session 1.18.0", () => expect(session).toBe(oldest));

expressSessionContract("1.18.0");
