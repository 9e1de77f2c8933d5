// What the pages need of Markdown beside VitePress's own, so that they read on GitHub and here alike: its anchors, links
// out of this folder, and diagrams, which are drawn at build.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { renderMermaidSVG } from "beautiful-mermaid";

const docs = join(import.meta.dirname, "..");
const root = dirname(docs);
const { repository } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
/** Where the sources can be read; until that is known, links to them are plain text. */
const sources = (repository?.url ?? repository)?.replace(/^git\+/, "").replace(/\.git$/, "");

/** The papers at the root that build.js copies into the site. */
export const papers = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];

export const markdown = {
  // Letters that can be read: of the usual themes axe finds some too pale.
  theme: { light: "github-light-high-contrast", dark: "github-dark-high-contrast" },
  anchor: { slugify: anchorOf },
  config(md) {
    md.core.ruler.push("links-out-of-the-site", ({ tokens, env }) => {
      for (const { children } of tokens) if (children) leadOut(children, join(docs, dirname(env.relativePath)));
    });
    const { fence } = md.renderer.rules;
    md.renderer.rules.fence = (tokens, index, ...rest) =>
      tokens[index].info.trim() === "mermaid"
        ? diagram(tokens[index].content, headingBefore(tokens, index))
        : fence(tokens, index, ...rest);
  },
};

/** As GitHub makes it, so that one link serves both. */
function anchorOf(title) {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(/\s/g, "-");
}

/** Mends the links of one line that lead out of the site. */
function leadOut(tokens, folder) {
  for (const [index, open] of tokens.entries()) {
    const href = open.type === "link_open" ? open.attrGet("href") : null;
    if (href === null || /^(?:[a-z]+:|#|\/)/i.test(href)) continue;
    const [path, anchor] = decodeURI(href).split("#");
    const file = relative(root, join(folder, path)).replaceAll("\\", "/");
    if (file.startsWith("docs/") && /\.(?:md|html)$|\/$/.test(file)) continue;
    if (!existsSync(join(root, file))) throw new Error(`dead link: ${href} in a page of ${folder}`);
    const hash = anchor === undefined ? "" : `#${anchor}`;
    if (papers.includes(file)) {
      open.attrSet(
        "href",
        `${relative(folder, join(docs, "project", file.toLowerCase())).replaceAll("\\", "/")}${hash}`,
      );
    } else if (sources !== undefined) {
      open.attrSet("href", `${sources}/blob/main/${file}${hash}`);
    } else {
      const close = tokens.findIndex(({ type }, at) => at > index && type === "link_close");
      open.attrs = [["title", file]];
      open.tag = tokens[close].tag = "span";
      open.type = "span_open";
      tokens[close].type = "span_close";
    }
  }
}

let drawn = 0;

/** Drawn once for light and dark: the colours are variables of the theme. */
function diagram(text, title) {
  const svg = renderMermaidSVG(text, { bg: "var(--vp-c-bg)", fg: "var(--vp-c-text-1)", transparent: true });
  const name = `diagram-${++drawn}-`;
  // Its style sheet is the same for all diagrams, and stands in the theme. Two on a page must not share ids.
  const bare = svg
    .replace(/<style>[^]*?<\/style>/, "")
    .replaceAll(/\bid="/g, `id="${name}`)
    .replaceAll(/url\(#/g, `url(#${name}`);
  const width = Number(/\bwidth="([\d.]+)"/.exec(bare)?.[1] ?? 0);
  const label = `role="img" aria-label="Diagram: ${title.replaceAll(/["&<>]/g, " ")}"`;
  // On a narrow screen a wide diagram scrolls by itself, with letters that can be read.
  const least = `min-width: ${Math.round(Math.min(width, 560))}px; `;
  const drawing = bare.replace("<svg ", `<svg ${label} `).replace('style="', `style="${least}`);
  return `<div class="diagram" tabindex="0" v-pre>${drawing.replaceAll(/\n\s*\n/g, "\n")}</div>\n`;
}

function headingBefore(tokens, index) {
  const at = tokens.findLastIndex(({ type }, place) => place < index && type === "heading_open");
  return tokens[at + 1]?.children.map(({ content }) => content).join("") ?? "";
}
