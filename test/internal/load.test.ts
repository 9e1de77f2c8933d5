import { expect, test } from "vitest";
import { load } from "../../src/internal/load.js";

test("a package that is there is loaded at once", () => {
  expect(load("express-session")).toBeTypeOf("function");
});

test("a missing package is an error that says how to install it", () => {
  expect(() => load("@nestjs/no-such-platform")).toThrow(
    expect.objectContaining({
      code: "OPTION_INVALID",
      message: expect.stringContaining("npm install @nestjs/no-such-platform") as string,
    }) as Error,
  );
});
