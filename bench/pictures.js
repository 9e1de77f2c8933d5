// The pictures of docs/operate/benchmarks.md: what each of them shows.
import { chart } from "./chart.js";
import { baseline, contestants, ours, oursWithAllow } from "./contestants/index.js";
import { costs, resultOf } from "./rows.js";
import { median } from "./statistics.js";
import { users, usersOf, usersRows } from "./tables.js";

// Each differs from both backgrounds by 3:1 at least.
const colours = {
  [baseline]: "#7c828c",
  guide: "#cc6d0a",
  "express-socket.io-session": "#c2418f",
  "express-socket.io-session-autosave": "#8b5cf6",
  [ours]: "#2f7df6",
};
// What `allow` costs is too little to be seen.
const shown = contestants.filter(({ name }) => name !== oursWithAllow);
const storages = [
  { storage: "memory", title: "Memory store", rows: ["connect", "heap", "read", "write", "write-burst"] },
  { storage: "redis", title: "Redis", rows: ["connect", "heap", "read", "write", "write-burst", "storm"] },
];

/** Every contestant's cost, relative to bare Socket.IO. */
export function costPicture(results) {
  const groupOf = (id, title) => {
    const isQuiet = results.rounds(id).quiet > 0;
    const bars = barsOf(
      (name) => (name === baseline ? 1 : results.ratio(id, name)),
      (ratio, name) => `${isQuiet || name === baseline ? "" : "≈ "}${ratio.toFixed(2)}×`,
    );
    return { title, bars };
  };
  const panels = storages.map(({ storage, title, rows }) => ({
    title,
    groups: costs
      .filter(({ id }) => rows.includes(id) && results.has(resultOf(id, storage)))
      .map((row) => groupOf(resultOf(row.id, storage), nameOf(row))),
    mark: { value: 1, label: "bare" },
  }));
  return chart({
    title: "Cost relative to bare Socket.IO (= 1): less is better",
    note: "≈: the machine was not quiet in any round",
    panels: panels.filter(({ groups }) => groups.length > 0),
  });
}

/** What the users of a site cost, in seconds of a processor and in memory. */
export function usersPicture(results) {
  const panels = storages.flatMap(({ storage, title }) => {
    const groupsOf = (isMemory) =>
      usersRows
        .filter((row) => (row.unit === "MB") === isMemory && row.value(results, storage, ours) !== undefined)
        .map((row) => ({
          title: row.title,
          bars: barsOf(
            (name) => (usersOf.includes(name) ? row.value(results, storage, name) : undefined),
            (value) => `${value.toFixed(isMemory ? 0 : 2)} ${row.unit}`,
          ),
        }));
    return [
      { title: `${title}: CPU time`, groups: groupsOf(false) },
      { title: `${title}: heap`, groups: groupsOf(true) },
    ];
  });
  return chart({
    title: `What ${users.toLocaleString("en")} users cost: less is better`,
    note: "Everything included: what Socket.IO takes itself is “bare”",
    panels: panels.filter(({ groups }) => groups.length > 0),
  });
}

/** How long other nodes take to know, of several runs the median. */
export function nodesPicture(results, { logout: goal, oldService: oldGoal }) {
  const barsOfRuns = (runs) =>
    [
      ["median", "median", colours[ours]],
      ["99 of 100", "p99", colours["express-socket.io-session-autosave"]],
      ["longest", "longest", colours[baseline]],
    ].map(([name, key, colour]) => {
      const value = median(runs.map((times) => times[key]));
      return {
        name,
        colour,
        value: Math.min(value, 1000),
        label: value > 1000 ? "over 1 s" : `${value.toFixed(1)} ms`,
      };
    });
  const groupsOf = (runsOf) => results.map((one) => ({ title: one.title, bars: barsOfRuns(runsOf(one)) }));
  const markOf = (value) => ({ value, label: `goal, ${value} ms` });
  return chart({
    title: "Until the other node knows: less is better",
    note: "The goals are those of 99 of 100; where there were several runs, each number is their median",
    panels: [
      { title: "A logout", groups: groupsOf(({ logouts }) => logouts), mark: markOf(goal) },
      {
        title: "A change by a service without this library",
        groups: groupsOf(({ oldService }) => [oldService.change]),
        mark: markOf(oldGoal),
      },
      {
        title: "A logout by such a service",
        groups: groupsOf(({ oldService }) => [oldService.logout]),
        mark: markOf(oldGoal),
      },
    ],
  });
}

/** A bar for each contestant that has a value. */
function barsOf(valueOf, labelOf) {
  return shown.flatMap(({ name, title }) => {
    const value = valueOf(name);
    if (value === undefined) return [];
    return [{ name: title, value, label: labelOf(value, name), colour: colours[name], isOurs: name === ours }];
  });
}

/** A row's title where it does not follow the one above it. */
function nameOf({ id, title }) {
  return id === "write-burst" ? "CPU per event, write, in bursts of ten" : title;
}
