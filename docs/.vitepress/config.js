// The site of this folder. What its parts are: parts.js; what its Markdown can do: markdown.js.
import { defineConfig } from "vitepress";
import { markdown } from "./markdown.js";
import { nav, sidebar } from "./parts.js";

export default defineConfig({
  title: "socket-session",
  description: "One live session for HTTP and sockets.",
  lang: "en",
  cleanUrls: true,
  lastUpdated: false,
  metaChunk: true,
  markdown,
  // Pages are fetched when somebody goes there, not all that are linked from the one that is read.
  router: { prefetchLinks: false },
  themeConfig: {
    nav: nav(),
    sidebar: sidebar(),
    outline: [2, 3],
    search: {
      provider: "local",
      options: { miniSearch: { options: { tokenize }, searchOptions: { boostDocument } }, _render: renderPlain },
    },
    docFooter: { prev: "Before", next: "Next" },
  },
});

/** An option's name leads to the table that explains it, before the pages that use it. */
function boostDocument(id) {
  return id.includes("reference/options") ? 5 : 1;
}

/** A code is found as a whole, and by its words. */
function tokenize(text) {
  const words = text.split(/[\n\r\p{Z}\p{P}]+/u);
  return [...words, ...(text.match(/\b[A-Z]+(?:_[A-Z]+)+\b/g) ?? [])];
}

/** What the search reads of a page: code without its colours, which cost most of the time. */
function renderPlain(text, env, md) {
  const { highlight } = md.options;
  md.options.highlight = null;
  const html = md.render(text, env);
  md.options.highlight = highlight;
  return html;
}
