// Where the time of one row goes: a CPU profile of the server, and its functions by the time that they take themselves.
import { mkdirSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { contestantsOn, ours } from "./contestants/index.js";
import { passes } from "./passes.js";
import { logInto, takeTurns, withServers } from "./rounds.js";
import { openStorage } from "./storages.js";

const root = join(import.meta.dirname, "..");
const folder = join(root, ".cache", "bench");
const shown = 40;

/** Profiles the last round of a row, of each storage and contestant that the options name. */
export async function profile(options, say) {
  const row = options.profiled;
  const names = options.contestants ?? [ours];
  for (const pass of passes({ ...options, stores: options.stores ?? ["memory"] })) {
    const storage = await openStorage(pass.storage);
    try {
      for (const contestant of contestantsOn(pass.storage).filter(({ name }) => names.includes(name))) {
        say(`${row}, ${storage.name}, ${contestant.name}`);
        const result = await profileOne(row, contestant, { ...options, ...pass, storage }, say);
        if (!result) throw new Error(`${row} is no row of CPU time`);
        mkdirSync(folder, { recursive: true });
        const file = join(folder, `${row}-${storage.name}-${contestant.name}.cpuprofile`);
        writeFileSync(file, JSON.stringify(result));
        process.stdout.write(
          `\n${summary(result)}\n\n${relative(process.cwd(), file)} opens in a browser's developer tools.\n`,
        );
      }
    } finally {
      await storage.close();
    }
  }
}

function profileOne(row, contestant, options, say) {
  return withServers([contestant], options, async ([server]) => {
    await logInto([server], options.sessions);
    server.profiledRow = row;
    const turns = { ...options, rounds: 1, warmUps: 3, isWanted: (one) => one === row };
    await takeTurns(
      [server],
      options.measures.map(({ measure }) => measure),
      turns,
      () => {},
      say,
    );
    return server.profile;
  });
}

/** The functions with the most time of their own, in ms and in percent of what was not idle. */
function summary({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const times = new Map();
  for (const [index, id] of samples.entries()) {
    const { functionName, url, lineNumber } = byId.get(id).callFrame;
    const place = url
      ? ` ${url
          .replace(/^file:\/\//, "")
          .replace(`${root}/`, "")
          .replace(/^.*node_modules\//, "")}:${lineNumber + 1}`
      : "";
    const name = `${functionName || "(anonymous)"}${place}`;
    times.set(name, (times.get(name) ?? 0) + timeDeltas[index] / 1000);
  }
  times.delete("(idle)");
  const total = [...times.values()].reduce((sum, time) => sum + time, 0);
  const sorted = [...times].sort(([, a], [, b]) => b - a).slice(0, shown);
  return sorted
    .map(
      ([name, time]) => `${time.toFixed(1).padStart(8)} ms ${((100 * time) / total).toFixed(1).padStart(5)} %  ${name}`,
    )
    .join("\n");
}
