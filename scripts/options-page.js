// Writes docs/reference/options.md from the docstrings of the options' types, where each says its unit and its default. A
// test holds the page against the sources.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Where the page stands. */
export const pagePath = join(root, "docs/reference/options.md");

/** Heading → the types below it, and what is to be said after them. */
const sections = [
  {
    title: "`createSessions(options)`",
    types: ["CreateOptions", "LiveOptions"],
    after:
      "Two `createSessions()` over one store share `absoluteTimeout`, `maxSessionSize` and `user`, since HTTP writes follow\n" +
      "them, too. While one is open, another value (for `user`: another function) is `OPTION_INVALID`; leaving one out takes\n" +
      "the store's.",
  },
  { title: "`createSessions({ routes })`", types: ["RoutesOptions"] },
  {
    title: "`createSessions({ middleware })`",
    types: ["ExistingMiddlewareOptions"],
    after: "Beside it go the options from `lease` to `hosts` above; express-session's are those of the middleware.",
  },
  { title: "`sessions.attach(server, options)`", types: ["AttachOptions"] },
  {
    title: "`sessions.stream(request, response, options)`",
    types: ["StreamOptions"],
    after:
      "`allow`, `origins`, `requireOrigin` and `sessionId` are as in `attach()`; see [Streams](../servers/streams.md).",
  },
  { title: "`liveStore(store, options)`", types: ["LiveStoreOptions"] },
  { title: "`redisStore(options)`", types: ["RedisStoreOptions"] },
  { title: "`postgresStore(options)`", types: ["PostgresStoreOptions"], after: "`memoryStore()` takes no options." },
  { title: "`withSession(socket, options)` in the page", types: ["ClientOptions"] },
];

/** Where more is said of an option. */
const more = {
  allow: "guide/who-may-stay.md",
  missing: "guide/without-a-session.md",
  origins: "guide/other-origins.md",
  tickets: "guide/clients-without-cookies.md",
  view: "guide/what-the-page-sees.md",
  absoluteTimeout: "guide/expiry.md",
  middleware: "guide/existing-middleware.md",
  passport: "frameworks/passport.md",
  proxy: "guide/behind-a-proxy.md",
  user: "guide/log-out.md",
};

/** The sources that have the types. */
export function readSources() {
  const files = [
    "options.ts",
    "store/live-store.ts",
    "store/drivers/redis/redis-store.ts",
    "store/drivers/postgres/postgres-store.ts",
    "client/client-session.ts",
  ];
  return files.map((file) => readFileSync(join(root, "src", file), "utf8")).join("\n");
}

/** The page, made of the text of the sources. */
export function optionsPage(sources) {
  const parts = sections.map(({ title, types, after }) => {
    const rows = types.flatMap((type) => optionsOf(type, sources)).map(row);
    const table = ["| name | default | unit | meaning |", "| --- | --- | --- | --- |", ...rows].join("\n");
    return [`## ${title}`, table, after].filter(Boolean).join("\n\n");
  });
  const head = "<!-- Written by `npm run options-page` from the docstrings in src; do not edit. -->\n# Options";
  return `${[head, ...parts].join("\n\n")}\n`;
}

/** What a type has: names with their docstrings. */
function optionsOf(type, sources) {
  const body = new RegExp(`^export interface ${type}\\b[^\\n]*\\{\\n([^]*?)\\n\\}`, "m").exec(sources)?.[1];
  if (body === undefined) throw new Error(`no interface ${type} in the sources`);
  return [...body.matchAll(/ {2}\/\*\*([^]*?)\*\/\n {2}(\w+)(\??):/g)].map(([, comment, name, optional]) => {
    const text = comment
      .split("@example")[0]
      .replaceAll(/\s*\n\s*\* ?/g, " ")
      .trim();
    return { type, name, isRequired: optional === "", text };
  });
}

function row({ type, name, isRequired, text }) {
  const [meaning, initial] = text.split(/(?:^| )Default:? (?=\S)/);
  if (initial === undefined && !isRequired) throw new Error(`${type}.${name}: its docstring says no "Default …"`);
  const words = more[name]?.replaceAll(/^.*\/|\.md$/g, "").replaceAll("-", " ");
  const link = words ? ` See [${words}](../${more[name]}).` : "";
  const cells = [`\`${name}\``, isRequired ? "required" : cell(initial), unitOf(meaning), `${cell(meaning)}.${link}`];
  return `| ${cells.join(" | ")} |`;
}

/** Of a docstring: a word of code is set as code, and a cell may not have a bar. */
function cell(text) {
  return text
    .replace(/\.$/, "")
    .replace(/^(?:true|false)\b/, "`$&`")
    .replaceAll(/\{@link (\w+)\}/g, "`$1`")
    .replaceAll("|", "\\|");
}

function unitOf(meaning) {
  if (/\bin \*\*seconds\*\*/.test(meaning)) return "**s**";
  if (/\bin ms\b/.test(meaning)) return "ms";
  if (/\bin bytes\b|How many bytes/.test(meaning)) return "bytes";
  return /^How many (sessions|messages)/.exec(meaning)?.[1] ?? "";
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(pagePath, optionsPage(readSources()));
