// Rounds and medians. Each round measures the baseline twice: where the two differ, something else had the machine,
// and the round does not count.

/** How much the baseline may differ from itself within a round that counts. */
export const tolerance = 0.03;

/** The second measurement of the baseline in a round. */
export const again = "again";

export function median(values) {
  return quantile(values, 0.5);
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)];
  const above = sorted[Math.ceil(at)];
  // What never came is Infinity.
  return below === above ? below : below + (above - below) * (at % 1);
}

/** What was measured, by row, round and contestant. */
export class Results {
  #baseline;
  #tolerance;
  #rows = new Map();

  constructor(baseline, limit = tolerance) {
    this.#baseline = baseline;
    this.#tolerance = limit;
  }

  add(row, round, contestant, value) {
    if (!this.#rows.has(row)) this.#rows.set(row, new Map());
    const rounds = this.#rows.get(row);
    rounds.set(round, { ...rounds.get(round), [contestant]: value });
  }

  has(row) {
    return this.#rows.has(row);
  }

  /** What a contestant had in the first round: for what is no number. */
  first(row, contestant) {
    return this.#rows.get(row)?.values().next().value[contestant];
  }

  /** The rounds of a row that count, and how quiet the machine was. */
  rounds(row) {
    const all = [...(this.#rows.get(row)?.values() ?? [])];
    const differences = all.flatMap((round) => this.#difference(round) ?? []);
    const quiet = all.filter((round) => (this.#difference(round) ?? 0) <= this.#tolerance);
    // A noisy number is better than none; the report marks it.
    return {
      all: all.length,
      quiet: quiet.length,
      counted: quiet.length > 0 ? quiet : all,
      differences,
    };
  }

  /** The median, or undefined where nothing was measured. */
  value(row, contestant) {
    return this.#median(row, contestant, (round) =>
      contestant === this.#baseline ? this.#base(round) : round[contestant],
    );
  }

  /** The ratio to the baseline, within each round. */
  ratio(row, contestant) {
    return this.#median(row, contestant, (round) => round[contestant] / this.#base(round));
  }

  /** What a contestant takes beyond the baseline, within each round. */
  overhead(row, contestant) {
    return this.#median(row, contestant, (round) => round[contestant] - this.#base(round));
  }

  /** The overhead of one contestant as a share of another's, within each round. */
  overheadShare(row, contestant, other) {
    return this.#median(row, contestant, (round) => {
      const base = this.#base(round);
      return (round[contestant] - base) / (round[other] - base);
    });
  }

  #median(row, contestant, of) {
    const values = this.rounds(row)
      .counted.filter((round) => round[contestant] !== undefined)
      .map(of)
      .filter(Number.isFinite);
    return values.length > 0 ? median(values) : undefined;
  }

  #base(round) {
    const first = round[this.#baseline];
    return (first + (round[again] ?? first)) / 2;
  }

  #difference(round) {
    const [first, second] = [round[this.#baseline], round[again]];
    return first === undefined || second === undefined ? undefined : Math.abs(second / first - 1);
  }
}
