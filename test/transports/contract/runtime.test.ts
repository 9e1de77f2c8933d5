// The cells of the matrix for Bun and Deno run these tests there, not in a Node that their program has started.
import process from "node:process";
import { expect, test } from "vitest";

test("the tests run in the program that RUNTIME names, else in Node", () => {
  const { bun, deno } = process.versions;
  const runtime = bun ? "bun" : deno ? "deno" : "node";
  expect(runtime).toBe(process.env["RUNTIME"] ?? "node");
});
