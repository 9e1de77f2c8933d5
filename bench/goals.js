// What this library wants to reach, and whether it did in this run.

const ours = "socket-session";

/** Each goal with what was measured. */
export function judge(results) {
  const connect = results.ratio("connect", ours, "bare");
  const heap = results.value("heap", ours) - results.value("heap", "bare");
  const read = results.ratio("read", ours, "bare");
  const reads = results.value("reads-read", ours);
  const burst = results.ratio("write-burst", ours, "guide");
  // Most of an event is the transport's, which no session library can lower: without it the comparison is about
  // sessions alone.
  const above = (name) => results.value("write-burst", name) - results.value("write-burst", "bare");
  return [
    {
      goal: "A connect costs at most 1.15 times that of bare Socket.IO (memory store)",
      measured: `${connect.toFixed(2)} times`,
      isMet: connect <= 1.15,
    },
    {
      goal: "A connection with a session of its own takes at most 1.0 KB of heap more than a bare one",
      measured: `${(heap / 1024).toFixed(2)} KB`,
      isMet: heap <= 1024,
    },
    {
      goal: "An event that reads the session fresh costs at most 1.05 times a bare one, and no store read",
      measured: `${read.toFixed(2)} times, ${reads} store reads`,
      isMet: read <= 1.05 && reads === 0,
    },
    {
      goal: "A writing event costs at most half of the guide's recipe where saves can be batched (bursts of ten)",
      measured:
        `${burst.toFixed(2)} times the guide's (a bare event already is ` +
        `${results.ratio("write-burst", "bare", "guide").toFixed(2)} times; above bare: ` +
        `${Math.round(above(ours))} µs, the guide's ${Math.round(above("guide"))} µs)`,
      isMet: burst <= 0.5,
    },
  ];
}
