// What this library wants to reach, and whether it did in this run.
import { ours } from "./contestants/index.js";

const times = (value) => `${value.toFixed(2)} times`;

/** Each goal with what was measured; those of which nothing was measured are left out. */
export function judge(results) {
  return [...connects(results), ...heaps(results), ...events(results), ...storms(results), ...commands(results)];
}

function connects(results) {
  const goal = (row, title, limit) => {
    const [value, guide] = [ours, "guide"].map((name) => results.ratio(row, name));
    if (value === undefined) return [];
    const isBelow = guide === undefined || value < guide;
    return [
      {
        goal: `${title} costs at most ${limit.toFixed(2)} times a bare one, and less than the guide's`,
        measured: `${times(value)}${guide === undefined ? "" : `, the guide's ${times(guide)}`}`,
        isMet: value <= limit && isBelow,
      },
    ];
  };
  const leave = (row, title) => {
    const value = results.ratio(row, ours);
    if (value === undefined) return [];
    return [{ goal: `${title} costs at most 1.02 times a bare one`, measured: times(value), isMet: value <= 1.02 }];
  };
  return [
    ...goal("connect", "A connect (memory store)", 1.1),
    ...goal("connect-redis", "A connect (Redis)", 1.2),
    ...leave("disconnect", "A disconnect (memory store)"),
    ...leave("disconnect-redis", "A disconnect (Redis)"),
  ];
}

function heaps(results) {
  return [
    ["heap", "memory store", 0.9],
    ["heap-redis", "Redis", 1.2],
  ].flatMap(([row, title, limit]) => {
    const value = results.overhead(row, ours);
    if (value === undefined) return [];
    return [
      {
        goal: `A connection with a session of its own takes at most ${limit} KB of heap more than a bare one (${title})`,
        measured: `${(value / 1024).toFixed(2)} KB`,
        isMet: value <= limit * 1024,
      },
    ];
  });
}

function events(results) {
  const read = results.ratio("read", ours);
  const reads = results.value("reads-read", ours);
  const isRead = read !== undefined && reads !== undefined;
  const writes = [
    ["", "memory store"],
    ["-redis", "Redis"],
  ].flatMap(([storage, title]) => {
    const shares = ["write", "write-stored"].map((row) => results.overheadShare(`${row}${storage}`, ours, "guide"));
    if (shares.includes(undefined)) return [];
    const [value, stored] = shares.map((share) => `${Math.round(share * 100)} %`);
    return [
      {
        goal: `A single writing event takes at most half of what the guide's takes beyond a bare one (${title})`,
        measured: `${value}; ${stored} where it is answered when stored`,
        isMet: shares.every((share) => share <= 0.5),
      },
    ];
  });
  return [
    ...(isRead
      ? [
          {
            goal: "An event that reads the session fresh costs at most 1.05 times a bare one, and no store read",
            measured: `${times(read)}, ${reads} store reads`,
            isMet: read <= 1.05 && reads === 0,
          },
        ]
      : []),
    ...writes,
  ];
}

function storms(results) {
  const value = results.ratio("storm-redis", ours);
  const delay = results.value("storm-delay-redis", ours);
  const growth = results.value("idle", ours);
  const bare = results.value("idle", "bare");
  return [
    ...(value === undefined
      ? []
      : [
          {
            goal:
              "When all clients come back at once (Redis), a connection costs at most 1.25 times a bare one, and 99 % of " +
              "the event loop's delays are at most 50 ms",
            measured: `${times(value)}, ${Math.round(delay)} ms (bare ${Math.round(results.value("storm-delay-redis", "bare"))} ms)`,
            isMet: value <= 1.25 && delay <= 50,
          },
        ]),
    ...(growth === undefined
      ? []
      : [
          {
            goal: "Idle sessions cost no CPU while others are active: at most 2 ms/s beyond what as many bare connections cost",
            measured: `${growth.toFixed(1)} ms/s (bare ${bare.toFixed(1)} ms/s)`,
            isMet: growth - bare <= 2,
          },
        ]),
  ];
}

function commands(results) {
  const counts = (row) => results.first(`${row}-redis`, ours);
  const total = (asked) => Object.values(asked).reduce((sum, count) => sum + count, 0);
  const [connect, write] = ["commands-connect-at-once", "commands-write"].map(counts);
  if (connect === undefined || write === undefined) return [];
  return [
    {
      goal: "Clients that connect at once share their reads: at most 0.1 commands each come to Redis",
      measured: `${total(connect).toFixed(2)}`,
      isMet: total(connect) <= 0.1,
    },
    {
      goal: "A writing event is one command to Redis",
      measured: `${total(write).toFixed(2)}`,
      isMet: total(write) <= 1,
    },
  ];
}
