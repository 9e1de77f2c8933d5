// What a check of a set-up finds, in sentences. Knows nothing of what is checked.
import { seePage } from "../errors.js";
import type { WarningCode } from "../warnings.js";

/** What a finding is about. */
export type CheckTopic =
  | "environment"
  | "secret"
  | "cookie"
  | "proxy"
  | "store"
  | "routes"
  | "sockets"
  | "origins"
  | "server";

/** One thing that a check has looked at. */
export interface CheckFinding {
  readonly topic: CheckTopic;
  /** `"problem"`: it does not work, or is not safe. `"hint"`: look at it, it may be meant so. `"fine"`: it is as it should be. */
  readonly level: "problem" | "hint" | "fine";
  /** What is there, the likely cause, and the line to write. */
  readonly message: string;
  /** The code with which the same mistake is told when it happens, where it has one. */
  readonly code?: WarningCode;
}

/**
 * What `sessions.check()` resolves with: the findings, problems first. As a text it is one page, a paragraph for each.
 *
 * @example
 * ```ts
 * const check = await sessions.check();
 * if (!check.isFine) console.warn(String(check));
 * ```
 */
export class SessionCheck {
  readonly findings: readonly CheckFinding[];

  /** @internal `sessions.check()` makes it. */
  constructor(findings: readonly CheckFinding[]) {
    const order = ["problem", "hint", "fine"];
    this.findings = findings.toSorted((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  }

  /** True where nothing is a problem. */
  get isFine(): boolean {
    return this.findings.every(({ level }) => level !== "problem");
  }

  toString(): string {
    const count = (level: CheckFinding["level"]): number => this.findings.filter((one) => one.level === level).length;
    const lines = this.findings.map(
      ({ level, topic, message, code }) => `${level.padEnd(7)}  ${topic}: ${message}${code ? seePage(code) : ""}`,
    );
    return [...lines, `Problems: ${count("problem")}, hints: ${count("hint")}, fine: ${count("fine")}.`].join("\n");
  }
}

/** Collects findings. */
export class Findings {
  readonly list: CheckFinding[] = [];

  problem(topic: CheckTopic, message: string, code?: WarningCode): void {
    this.list.push({ topic, level: "problem", message, ...(code && { code }) });
  }

  hint(topic: CheckTopic, message: string, code?: WarningCode): void {
    this.list.push({ topic, level: "hint", message, ...(code && { code }) });
  }

  fine(topic: CheckTopic, message: string): void {
    this.list.push({ topic, level: "fine", message });
  }
}
