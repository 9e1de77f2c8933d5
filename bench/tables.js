// Tables of results, as cells; for the terminal and for Markdown.
import { baseline, contestants, ours } from "./contestants/index.js";
import { commands, costs, counts, resultOf } from "./rows.js";
import { median } from "./statistics.js";

/** The rows with a ratio to bare that were measured on a storage. */
export function costTable(results, storage) {
  const rows = costs.filter(({ id }) => results.has(resultOf(id, storage)));
  return tableOf(
    rows,
    contestantsIn(results, rows, storage),
    ["bare twice", "rounds"],
    (row, { name }) => {
      const id = resultOf(row.id, storage);
      const value = results.value(id, name);
      if (value === undefined) return "–";
      if (name === baseline) return amount(value, row.unit);
      const overhead = results.overhead(id, name);
      return `${results.ratio(id, name).toFixed(2)}× (${overhead < 0 ? "−" : "+"}${amount(Math.abs(overhead), row.unit)})`;
    },
    (row) => {
      const { all, quiet, differences } = results.rounds(resultOf(row.id, storage));
      if (differences.length === 0) return ["–", `${all}`];
      return [
        `${(median(differences) * 100).toFixed(1)} %`,
        quiet > 0 ? `${quiet} of ${all}` : `none of ${all} quiet: all`,
      ];
    },
  );
}

/** The calls of a store in memory. */
export function countTable(results) {
  const rows = counts.filter(({ id }) => results.has(id));
  return tableOf(rows, contestants, [], (row, { name }) => {
    const value = results.value(row.id, name);
    if (value === undefined) return "–";
    return row.unit === "share" ? `${Math.round(value * 100)} %` : rounded(value);
  });
}

/** What comes to Redis over the network. */
export function commandTable(results) {
  const rows = commands.filter(({ id }) => results.has(resultOf(id, "redis")));
  return tableOf(rows, contestantsIn(results, rows, "redis"), [], (row, { name }) => {
    const counts = Object.entries(results.first(resultOf(row.id, "redis"), name) ?? {});
    return counts.map(([command, count]) => `${rounded(count)} ${command}`).join(", ") || "nothing";
  });
}

/** How many users are meant by "users". */
export const users = 10_000;

/** Whose costs for them are told. */
export const usersOf = [baseline, "guide", ours];

/** What they cost, each row in its unit: CPU time in seconds, or heap. */
export const usersRows = [
  { title: "they connect", unit: "s", id: "connect", asks: "commands-connect" },
  { title: "they stay, with their sessions read", unit: "MB", id: "heap-read" },
  { title: "each sends an event that reads", unit: "s", id: "read", asks: "commands-read" },
  { title: "each sends an event that writes", unit: "s", id: "write-stored", asks: "commands-write" },
  { title: "they leave", unit: "s", id: "disconnect", asks: "commands-disconnect" },
].map((row) => ({
  ...row,
  value(results, storage, name) {
    const value = results.value(resultOf(row.id, storage), name);
    return value === undefined ? undefined : (value * users) / (row.unit === "MB" ? 2 ** 20 : 1e6);
  },
}));

/** What they cost on a storage. */
export function usersTable(results, storage) {
  const asked = (id, name) => {
    if (id === undefined || storage !== "redis" || name === baseline) return "";
    const counts = results.first(resultOf(id, storage), name);
    if (!counts) return "";
    const count = Object.values(counts).reduce((sum, one) => sum + one, 0) * users;
    return `, ${Math.round(count).toLocaleString("en")} commands`;
  };
  const rows = usersRows.filter(({ value }) => value(results, storage, ours) !== undefined);
  const there = contestants.filter(({ name }) => usersOf.includes(name));
  return tableOf(rows, there, [], ({ unit, asks, value: valueOf }, { name }) => {
    const value = valueOf(results, storage, name);
    if (value === undefined) return "–";
    return unit === "MB" ? `${value.toFixed(0)} MB` : `${value.toFixed(2)} s${asked(asks, name)}`;
  });
}

/** For the terminal. */
export function aligned(table) {
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  const pad = (text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]));
  return table.map((row) => row.map(pad).join("  ")).join("\n");
}

export function markdown([head, ...rows], align = "---") {
  const rule = head.map((_, column) => (column === 0 ? "---" : align));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function contestantsIn(results, rows, storage) {
  return contestants.filter(({ name }) =>
    rows.some(({ id }) => results.first(resultOf(id, storage), name) !== undefined),
  );
}

function tableOf(rows, there, more, cell, moreCells = () => []) {
  const head = ["", ...there.map(({ title }) => title), ...more];
  return [head, ...rows.map((row) => [row.title, ...there.map((one) => cell(row, one)), ...moreCells(row)])];
}

function amount(value, unit) {
  return `${value < 100 ? rounded(value, 1) : Math.round(value).toLocaleString("en")} ${unit}`;
}

function rounded(value, digits = 2) {
  return String(Number(value.toFixed(digits)));
}
