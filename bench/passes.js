// What is measured in which order: each pass takes one storage, fresh servers, and its measures in turns.
import { measureCommands } from "./measure/commands.js";
import { measureConnections } from "./measure/connections.js";
import { measureEvents } from "./measure/events.js";
import { measureIdle, withIdle } from "./measure/idle.js";
import { measureStorm } from "./measure/storm.js";
import { measureStoreCalls } from "./measure/store-calls.js";
import { withBaselineAgain } from "./rounds.js";
import { commands, costs, counts } from "./rows.js";

const idsOf = (rows) => rows.map(({ id }) => id);
const connections = { measure: measureConnections, rows: ["connect", "disconnect", "heap", "heap-read"] };
const events = { measure: measureEvents, rows: ["read", "write", "write-stored", "write-burst", "kept"] };

/** `rounds` and `generations` are names of options, or numbers. */
const all = [
  { storage: "memory", measures: [connections, events] },
  { storage: "redis", measures: [connections, events] },
  { storage: "postgres", measures: [connections] },
  {
    storage: "redis",
    measures: [{ measure: measureStorm, rows: ["storm", "storm-delay"] }],
    generations: 1,
    rounds: "stormRounds",
    sessions: "stormClients",
  },
  {
    storage: "memory",
    measures: [{ measure: measureIdle, rows: ["busy", "idle"] }],
    isOnce: true,
    contestants: ["bare", "socket-session"],
    twinsOf: withIdle,
  },
  {
    storage: "counting",
    measures: [{ measure: measureStoreCalls, rows: idsOf(counts).filter((id) => id !== "kept") }],
    isOnce: true,
  },
  {
    storage: "redis",
    measures: [{ measure: measureCommands, rows: idsOf(commands) }],
    isOnce: true,
    contestants: ["guide", "socket-session"],
  },
];

/** The passes that the options ask for, with their numbers. */
export function passes(options) {
  const { only, stores } = options;
  return all.flatMap((pass) => {
    if (stores && !stores.includes(pass.storage) && !(pass.storage === "counting" && stores.includes("memory")))
      return [];
    const measures = pass.measures.filter(({ rows }) => !only || rows.some((row) => only.includes(row)));
    if (measures.length === 0) return [];
    const once = { generations: 1, rounds: 1, warmUps: 0, twinsOf: pass.twinsOf ?? ((contestants) => contestants) };
    const often = {
      generations: pass.generations ?? options.generations,
      rounds: options[pass.rounds ?? "rounds"],
      warmUps: options.warmUps,
      twinsOf: withBaselineAgain,
    };
    return [{ ...pass, measures, sessions: options[pass.sessions ?? "connections"], ...(pass.isOnce ? once : often) }];
  });
}

export const rowNames = [...idsOf(costs), ...idsOf(counts), ...idsOf(commands)];
