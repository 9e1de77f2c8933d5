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

/** What 10,000 users cost on a storage. */
export function usersTable(results, storage) {
  const users = 10_000;
  const of = (id) => (name) => results.value(resultOf(id, storage), name);
  const cpu = (id) => (name) =>
    of(id)(name) === undefined ? undefined : `${((of(id)(name) * users) / 1e6).toFixed(2)} s`;
  const asked = (id) => (name) => {
    if (storage !== "redis" || name === baseline) return undefined;
    const counts = results.first(resultOf(id, storage), name);
    return counts && Object.values(counts).reduce((sum, count) => sum + count, 0) * users;
  };
  const with10k = (id, commandId) => (name) => {
    const [time, count] = [cpu(id)(name), asked(commandId)(name)];
    return time && count !== undefined ? `${time}, ${Math.round(count).toLocaleString("en")} commands` : time;
  };
  const heap = (name) =>
    of("heap-read")(name) === undefined ? undefined : `${((of("heap-read")(name) * users) / 2 ** 20).toFixed(0)} MB`;
  const rows = [
    { title: "they connect", cell: with10k("connect", "commands-connect") },
    { title: "they stay, with their sessions read", cell: heap },
    { title: "each sends an event that reads", cell: with10k("read", "commands-read") },
    { title: "each sends an event that writes", cell: with10k("write-stored", "commands-write") },
    { title: "they leave", cell: with10k("disconnect", "commands-disconnect") },
  ].filter(({ cell }) => cell(ours) !== undefined);
  const there = contestants.filter(({ name }) => ["bare", "guide", "socket-session"].includes(name));
  return tableOf(rows, there, [], (row, { name }) => row.cell(name) ?? "–");
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
