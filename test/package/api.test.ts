// What users see, as the checked-in report has it.
import { expect, inject, test } from "vitest";
import { readFileSync } from "node:fs";
import { apiReport, reportPath } from "../../scripts/api.js";

test("the public types are those of docs/api.txt; `npm run api` writes it anew", () => {
  expect(apiReport(inject("packed").dir)).toBe(readFileSync(reportPath, "utf8"));
});

test("a live store shows express-session's Store API, its state and close(), and nothing else", () => {
  const report = readFileSync(reportPath, "utf8");
  const members = /^type-only class LiveStore [^]*?^}/m.exec(report)?.[0].match(/(?<=^ {4}(?:get )?)\w+(?=\()/gm);
  const api = [
    "all",
    "clear",
    "createSession",
    "destroy",
    "get",
    "ids",
    "length",
    "load",
    "regenerate",
    "set",
    "touch",
  ];
  expect([...new Set(members)].toSorted()).toEqual([...api, "close", "hears", "isDown", "isHearing"].toSorted());
});
