// How tests write a time span.

/** A time span: a number of ms, or a text such as "500ms", "30s", "31m", "12h" or "7d". */
export type Duration = number | `${number}${"ms" | "s" | "m" | "h" | "d"}`;

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** In whole ms. @throws TypeError for what is no duration, and for a negative one */
export function msOf(duration: Duration): number {
  const [, amount = Number.NaN, unit = "ms"] =
    typeof duration === "number" ? [0, duration] : (/^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration) ?? []);
  const ms = Math.round(Number(amount) * (units[unit] as number));
  if (!Number.isFinite(ms) || ms < 0) {
    throw new TypeError(`${JSON.stringify(duration)} is no time span. Write a number of ms, or "30s", "31m" or "12h".`);
  }
  return ms;
}
