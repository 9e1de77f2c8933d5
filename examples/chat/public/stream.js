// A stream: Server-Sent Events, which end with the session.
import { $ } from "./dom.js";
import { note } from "./log.js";

let source;

$("stream-toggle").addEventListener("click", () => {
  if (source) return closeStream();
  source = new EventSource("/clock");
  source.addEventListener("open", () => note("stream → this tab: open"));
  source.addEventListener("clock", ({ data }) => {
    $("clock").textContent = `the server has ${new Date(Number(data)).toLocaleTimeString()}`;
  });
  source.addEventListener("session:end", ({ data }) => note(`stream → this tab: session:end ${JSON.parse(data).code}`));
  source.addEventListener("error", () => ($("clock").textContent = "away, it comes back by itself"));
  // Closes the stream where coming back cannot help.
  window.SocketSession.withSession(source).on("end", closeStream);
  showStream("waiting for the server");
});

export function closeStream() {
  source?.close();
  source = undefined;
  showStream("not open");
}

function showStream(text) {
  $("clock").textContent = text;
  $("stream-toggle").textContent = source ? "Close the stream" : "Open a stream";
  $("stream-toggle").setAttribute("aria-pressed", String(Boolean(source)));
}
