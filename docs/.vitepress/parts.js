// The parts of the site: a folder each. A page appears by itself, under its first heading; those that are named here come
// first, in this order.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const docs = join(import.meta.dirname, "..");

const parts = [
  { folder: "start", title: "Start", first: ["quickstart", "which-setup", "how-it-works"] },
  {
    folder: "guide",
    title: "Guide",
    first: [
      "log-in",
      "log-out",
      "read-and-write",
      "who-may-stay",
      "without-a-session",
      "client",
      "what-the-page-sees",
      "other-origins",
      "clients-without-cookies",
      "expiry",
      "behind-a-proxy",
      "events",
      "existing-middleware",
      "from-the-guide",
      "typescript",
      "testing",
      "stop",
    ],
  },
  { folder: "frameworks", title: "Frameworks", first: ["index", "express", "passport", "nest", "fastify", "next"] },
  {
    folder: "stores",
    title: "Stores",
    first: ["index", "memory", "redis", "postgres", "several-nodes", "any-store"],
  },
  { folder: "servers", title: "Servers", first: ["index", "socket.io"] },
  { folder: "operate", title: "Operate", first: ["sizing", "deploy", "restart", "outage", "benchmarks"] },
  { folder: "security", title: "Security", first: ["index", "threats", "asvs", "review"] },
  { folder: "reference", title: "Reference", first: ["index", "options", "codes"] },
  { folder: "errors", title: "Errors", first: ["index"] },
  { folder: "migrate", title: "Migrate", first: ["index"] },
  { folder: "inside", title: "Inside", first: ["glossary", "promises", "consistency", "architecture", "decisions"] },
];

/** A group for each part; what TypeDoc and build.js wrote stands below its part. */
export function sidebar() {
  const groups = parts.map(({ folder, title, first }) => ({ title, items: pages(folder, first) }));
  const itemsOf = (title) => groups.find((one) => one.title === title).items;
  itemsOf("Reference").push(group("All types", pages("reference/api", ["index"])));
  itemsOf("Inside").push(...pages("project"));
  return groups.filter(({ items }) => items.length > 0).map(({ title, items }) => group(title, items));
}

/** Links above each page, to the first page of these parts. */
export function nav() {
  const shown = ["Start", "Guide", "Operate", "Security", "Reference", "Errors"];
  return sidebar()
    .filter(({ text }) => shown.includes(text))
    .map(({ text, link }) => ({ text, link, activeMatch: link.replace(/[^/]*$/, "") }));
}

/** Its title leads to its first page: a title that only opens and closes would be a button within a button. */
function group(text, items) {
  return { text, link: items[0].link, collapsed: true, items };
}

function pages(folder, first = []) {
  if (!existsSync(join(docs, folder))) return [];
  const names = readdirSync(join(docs, folder), { recursive: folder === "reference/api" })
    .filter((file) => file.endsWith(".md"))
    .map((file) => file.replaceAll("\\", "/").slice(0, -".md".length));
  const rank = (name) => (first.includes(name) ? first.indexOf(name) : first.length);
  return names
    .toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .map((name) => ({
      text: titleOf(join(docs, folder, `${name}.md`)).replace(/^socket-session\/(?:compat\/)?/, ""),
      link: `/${folder}/${name === "index" ? "" : name}`,
    }));
}

function titleOf(file) {
  const title = /^# (.+)$/m.exec(readFileSync(file, "utf8"))?.[1];
  if (title === undefined) throw new Error(`${file} has no heading "# …" for its title`);
  return title.replaceAll("`", "").replaceAll(/\\(.)/g, "$1");
}
