// Bars as a plain SVG. It has a background of its own, light or dark as the reader's system is: so it can be read on a page
// that is of the other kind, too. Each bar has its name beside it, not a colour alone.
const width = 560;
const edge = 16;
const left = 150;
const barsEnd = width - 84;
const barHeight = 12;
const lineHeight = 16;

/**
 * `panels` stand below each other, each with a scale of its own: `{ title, groups, mark }`. A group is
 * `{ title, bars: [{ name, value, label, colour, isOurs }] }`; a mark is a dashed line: `{ value, label }`.
 */
export function chart({ title, note, panels }) {
  const parts = [];
  let y = 26;
  const say = (x, content, attributes = "") => parts.push(text(x, y, content, attributes));
  say(edge, title, 'class="title"');
  if (note) {
    y += 18;
    say(edge, note, 'class="note"');
  }
  for (const panel of panels) {
    y += 32;
    const scale = scaleOf(panel);
    say(edge, panel.title, 'class="panel"');
    const [top, behind] = [y + 8, parts.length];
    for (const group of panel.groups) {
      y += 24;
      say(left, group.title, 'class="group"');
      y += 6;
      for (const one of group.bars) {
        parts.push(bar(y, one, scale));
        y += lineHeight;
      }
    }
    if (panel.mark) parts.splice(behind, 0, mark(panel.mark, left + panel.mark.value * scale, top, y));
  }
  const height = y + edge;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title">
<title id="title">${escaped(title)}</title>
<style>
  .page { fill: #ffffff; stroke: #d5d9e0; }
  text { font: 12px system-ui, sans-serif; fill: #3a3f47; }
  .title { font-size: 15px; font-weight: 600; }
  .panel { font-size: 14px; font-weight: 600; }
  .group, .ours { font-weight: 600; }
  .note { fill: #59606b; }
  .line { stroke: #59606b; stroke-dasharray: 3 3; }
  .value, .group { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #1b1b1f; stroke: #3c3f44; }
    text { fill: #dfe3ea; }
    .note { fill: #a5adba; }
    .line { stroke: #a5adba; }
    .value, .group { stroke: #1b1b1f; }
  }
</style>
<rect class="page" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${parts.join("\n")}
</svg>
`;
}

function scaleOf({ groups, mark: goal }) {
  const values = groups.flatMap(({ bars }) => bars.map(({ value }) => value));
  return (barsEnd - left) / Math.max(...values, goal?.value ?? 0, Number.MIN_VALUE);
}

function bar(y, { name, value, label, colour, isOurs }, scale) {
  const ours = isOurs ? " ours" : "";
  const length = Math.max(value * scale, 1);
  const rect = `<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" fill="${colour}"/>`;
  const named = text(left - 8, y + 10, name, `text-anchor="end" class="name${ours}"`);
  return `${named}${rect}${text((left + length + 6).toFixed(1), y + 10, label, `class="value${ours}"`)}`;
}

/** A line behind the bars; what it means stands at the right, where no title is. */
function mark({ label }, x, top, bottom) {
  const at = x.toFixed(1);
  const line = `<line class="line" x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/>`;
  return `${line}${text(width - edge, top - 8, `dashed: ${label}`, 'class="note" text-anchor="end"')}`;
}

function text(x, y, content, attributes = "") {
  return `<text x="${x}" y="${y}"${attributes && ` ${attributes}`}>${escaped(content)}</text>`;
}

function escaped(content) {
  return content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
