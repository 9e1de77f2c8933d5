// Medians: one slow round, because the machine was busy, must not count.

export function median(values) {
  return quantile(values, 0.5);
}

export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = Math.floor(at);
  const above = Math.ceil(at);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** Samples by row and contestant. A row's n-th samples were taken right after one another. */
export class Results {
  #samples = new Map();

  add(row, contestant, value) {
    const key = `${row} ${contestant}`;
    const there = this.#samples.get(key);
    if (there) there.push(value);
    else this.#samples.set(key, [value]);
  }

  samples(row, contestant) {
    return this.#samples.get(`${row} ${contestant}`) ?? [];
  }

  /** The median, or undefined where nothing was measured. */
  value(row, contestant) {
    const samples = this.samples(row, contestant);
    return samples.length > 0 ? median(samples) : undefined;
  }

  /** The ratios to another contestant, round by round, so that noise that hit both cancels out. */
  ratios(row, contestant, other) {
    const others = this.samples(row, other);
    return this.samples(row, contestant).map((value, round) => value / others[round]);
  }

  /** The median ratio, or undefined. */
  ratio(row, contestant, other) {
    const ratios = this.ratios(row, contestant, other);
    return ratios.length > 0 ? median(ratios) : undefined;
  }

  /** The quartiles of the ratios: half of the rounds were within. */
  spread(row, contestant, other) {
    const ratios = this.ratios(row, contestant, other);
    return { low: quantile(ratios, 0.25), high: quantile(ratios, 0.75) };
  }
}
