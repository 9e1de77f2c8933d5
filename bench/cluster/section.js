// The section "Several nodes" of docs/operate/benchmarks.md, and the same for the terminal.

/**
 * The goals: from the response of a logout to the close on another node, for 99 of 100 sockets (ms); and where a service
 * without this library did it.
 */
export const goals = { logout: 25, oldService: 50 };

const heading = "## Several nodes";

/** Writes the section. */
export function section(results, { sockets, commands, cores }) {
  if (results.length === 0) return `${heading}\n\nNot measured: no Redis and no PostgreSQL was found.\n`;
  return `${heading}

Two nodes, A and B, each a process of its own with Express and Socket.IO, the storage and the clients, all on one
machine with ${cores} cores. Measured on ${results.map(({ version }) => version).join(" and ")}: PostgreSQL with its default settings, Redis
without writing to the disk.

![Until the other node knows](benchmarks-nodes.svg)

### From a logout on A to the close on B

${sockets.toLocaleString("en")} sockets on B, each with a session of its own; A is asked to log them out, one after the other. Measured from the
end of the HTTP response to the close of the connection as the client sees it; 0 where that is earlier. Each row is a
run with fresh processes. The load is that of the whole machine before the run (1 minute average); beyond ${cores}, others
waited for the same cores, and the numbers show their work, too.

${table(["", "median", "99 of 100 within", "longest", "load", `99 of 100 within ${goals.logout} ms`], logoutRows(results))}

The same for streams, and where no logout but \`allow\` ends them: A takes the user's name out of the session, and \`allow\` lets
in only who has one.

${table(["", "median", "99 of 100 within", "longest", "load", `99 of 100 within ${goals.logout} ms`], otherEndRows(results))}

### A service without this library

A third process has the same sessions, with express-session, connect-redis or connect-pg-simple, and nothing of this library. It
changes ${commands} sessions, one after the other, then logs them out; each has a socket on A and one on B. Measured from the end of
the HTTP response to when both sockets know: by the event \`session:view\`, or by their close.

${table(["", "median", "99 of 100 within", "longest", "load", `99 of 100 within ${goals.oldService} ms`], oldServiceRows(results))}

### When a node dies

${sockets.toLocaleString("en")} sockets of ${results[0].reconnects.sessions} browsers, four tabs each, are open on A. A dies, and all come to B within one second.

${table(["", "all connected after", "what the storage was asked", "reads per session"], reconnectRows(results))}

### Sizing

What each of these asks of the storage, counted ${commands} times. A script of Redis (\`evalsha\`) is one command on the
network; what it does within Redis is counted beside it. A silent session is re-read once per lease, 200 of them with
one command.

${table(["", ...results.map(({ title }) => title)], commandRows(results))}

The memory of one session (user name, three strings in an array, a number, a cookie), of ${sockets.toLocaleString("en")}. On the heap of a node it
is what a connection with a session of its own takes beyond one of bare Socket.IO, after garbage collection.

${table(["", ...results.map(({ title }) => title)], memoryRows(results))}
`;
}

/** The page with this section in place of the one that it has, or at the place for it. */
export function withSection(page, text) {
  const at = page.indexOf(heading);
  const before = at < 0 ? page.indexOf("## What is compared") : at;
  const after = at < 0 ? before : page.indexOf("\n## ", at + 1) + 1;
  return `${page.slice(0, before)}${text}\n${page.slice(after)}`;
}

/** The section that a page has, if it has one. */
export function sectionOf(page) {
  const at = page.indexOf(heading);
  return at < 0 ? undefined : page.slice(at, page.indexOf("\n## ", at + 1));
}

function logoutRows(results) {
  return results.flatMap(({ title, logouts }) =>
    logouts.map((times, index) => [`${title}, run ${index + 1}`, ...timeCells(times, goals.logout)]),
  );
}

function otherEndRows(results) {
  return results.flatMap(({ title, otherEnds }) =>
    Object.entries(otherEnds).map(([end, times]) => [`${title}, ${end}`, ...timeCells(times, goals.logout)]),
  );
}

function oldServiceRows(results) {
  return results.flatMap(({ title, oldService: { change, logout } }) => [
    [`${title}, a change`, ...timeCells(change, goals.oldService)],
    [`${title}, a logout`, ...timeCells(logout, goals.oldService)],
  ]);
}

function timeCells({ median, p99, longest, load }, limit) {
  const times = [median, p99, longest].map((time) => (time === Infinity ? "over 1 s" : `${time.toFixed(1)} ms`));
  return [...times, load.toFixed(1), p99 <= limit ? "yes" : "**no**"];
}

function reconnectRows(results) {
  return results.map(({ title, reconnects: { took, counts, sessions } }) => [
    title,
    `${(took / 1000).toFixed(2)} s`,
    commandsOf(counts),
    (((counts.get ?? 0) + (counts.SELECT ?? 0)) / sessions).toFixed(2),
  ]);
}

function commandRows(results) {
  return results[0].commands.map(([title], index) => [
    title,
    ...results.map(({ commands }) => commandsOf(commands[index][1]) || "nothing"),
  ]);
}

/** Scripts first, then what they do. */
function commandsOf(counts) {
  return Object.entries(counts)
    .map(([name, count]) => [name, Math.round(count * 100) / 100])
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => Number(b.startsWith("eval")) - Number(a.startsWith("eval")) || a.localeCompare(b))
    .map(([name, count]) => `${count} ${name}`)
    .join(", ");
}

function memoryRows(results) {
  const rows = [
    ["stored", "stored"],
    ["in the storage, while a node listens for its notices", "watched"],
    ["on the heap of a node, with a connection", "heap"],
    ["that connection itself, for comparison", "connection"],
  ];
  return rows.map(([title, name]) => [
    title,
    ...results.map(({ memory }) => `${Math.max(Math.round(memory[name]), 0).toLocaleString("en")} B`),
  ]);
}

function table(head, rows) {
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
