// docs/operate/benchmarks.svg: bars of cost relative to bare Socket.IO. Plain SVG, readable on light and dark pages.
import { baseline, contestants } from "./contestants/index.js";
import { costs, resultOf } from "./rows.js";

const colours = ["#8a8f98", "#d97706", "#a16207", "#b45309", "#2563eb", "#60a5fa"];
const memory = ["connect", "heap", "read", "write", "write-burst"];
const redis = ["connect", "heap", "write", "write-burst", "storm"];
const rowsOf = (storage, ids, where) =>
  costs
    .filter(({ id }) => ids.includes(id))
    .map(({ id, title }) => ({ id: resultOf(id, storage), title: `${title}${where}` }));
const shown = [...rowsOf("memory", memory, ""), ...rowsOf("redis", redis, ", Redis")];
const barHeight = 13;
const gap = 16;
const left = 230;
const width = 860;
const top = 64;
const barsEnd = width - 90;

export function chart(results) {
  const ratioOf = (row, { name }) => (name === baseline ? 1 : results.ratio(row.id, name));
  const all = shown.flatMap((row) => contestants.map((contestant) => ratioOf(row, contestant) ?? 0));
  const longest = Math.max(1.5, ...all);
  const scale = (barsEnd - left) / longest;
  let y = top;
  const groups = shown
    .filter(({ id }) => results.has(id))
    .map((row) => {
      const bars = contestants.flatMap((contestant, index) => {
        const ratio = ratioOf(row, contestant);
        if (ratio === undefined) return [];
        const at = y;
        y += barHeight;
        return bar(at, ratio * scale, `${ratio.toFixed(2)}×`, colours[index], contestant.name === "socket-session");
      });
      const middle = y - (bars.length * barHeight) / 2 + 4;
      y += gap;
      return `${text(left - 12, middle, row.title, 'text-anchor="end"')}\n${bars.join("\n")}`;
    });
  const one = left + scale;
  const height = y + 8;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">Cost relative to bare Socket.IO: less is better</title>
<style>
  text { font: 12px system-ui, sans-serif; fill: #3a3f47; }
  .strong { font-weight: 600; }
  .line { stroke: #8a8f98; stroke-dasharray: 3 3; }
  @media (prefers-color-scheme: dark) { text { fill: #d5d9e0; } }
</style>
${text(12, 20, "Cost relative to bare Socket.IO (= 1): less is better", 'class="strong"')}
${legend()}
<line class="line" x1="${one}" x2="${one}" y1="${top - 8}" y2="${height - 14}"/>
${groups.join("\n")}
</svg>
`;
}

function bar(y, length, label, colour, isOurs) {
  const rect = `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight - 2}" fill="${colour}"/>`;
  return `${rect}${text((left + length + 6).toFixed(1), y + 10, label, isOurs ? 'class="strong"' : "")}`;
}

function legend() {
  let x = 12;
  return contestants
    .map(({ title }, index) => {
      const at = x;
      x += 34 + title.length * 7.2;
      return `<rect x="${at}" y="33" width="11" height="11" fill="${colours[index]}"/>${text(at + 16, 43, title)}`;
    })
    .join("\n");
}

function text(x, y, content, attributes = "") {
  return `<text x="${x}" y="${y}"${attributes && ` ${attributes}`}>${content}</text>`;
}
