// Finds a Redis server to start: the program on the PATH, else Debian's package, unpacked into .cache without touching
// the system. REDIS_SERVER asks for one program and its major version, as in "valkey-server@8". For the tests and for
// `npm run demo:cluster`; starts nothing itself.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";

const root = join(import.meta.dirname, "..");
const unpacked = join(root, ".cache", "redis");

let known;

/** The command that starts Redis or Valkey, and the environment that it needs; throws where there is none. */
export function findRedis() {
  const wanted = process.env.REDIS_SERVER;
  known ??= wanted ? exactly(wanted) : (fromPath(["redis-server", "valkey-server"]) ?? fromCache() ?? fromDebian());
  if (known) return known;
  throw new Error(
    "No Redis server was found: apt-get install redis-server (or brew install redis, or valkey), so that redis-server or valkey-server is on the PATH.",
  );
}

/** The program that was asked for, and no other. */
function exactly(wanted) {
  const [program, major] = wanted.split("@");
  const found = fromPath([program]);
  const version = found && /\bv=(\d+)/.exec(execFileSync(found.command, ["--version"], { encoding: "utf8" }))?.[1];
  if (found && (!major || version === major)) return found;
  const reason = found ? `${found.command} has version ${version}` : `${program} is not on the PATH`;
  throw new Error(
    `REDIS_SERVER=${wanted}, but ${reason}: apt-get install ${program}, of a system that has this version.`,
  );
}

function fromPath(programs) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of programs) {
      const command = join(folder, name);
      if (existsSync(command)) return { command, env: {} };
    }
  }
  return undefined;
}

function fromCache() {
  const command = join(unpacked, "usr/bin/redis-check-rdb");
  if (!existsSync(command)) return undefined;
  const libraries = join(unpacked, "usr/lib");
  const folders = [libraries, ...readdirSync(libraries).map((name) => join(libraries, name))];
  // The server is the program that also checks dumps, by another name: the link to it is in another package.
  return { command: join(unpacked, "redis-server"), env: { LD_LIBRARY_PATH: folders.join(delimiter) } };
}

/** Debian's package and the libraries that a system may lack. Root is not needed, and the system stays as it is. */
function fromDebian() {
  mkdirSync(join(root, ".cache"), { recursive: true });
  const temp = mkdtempSync(join(root, ".cache", "redis-"));
  try {
    const packages = ["redis-tools", "libjemalloc2", "liblzf1", "libatomic1"];
    const run = (command, ...args) =>
      execFileSync(command, args, { cwd: temp, stdio: ["ignore", "ignore", "pipe"], timeout: 60_000 });
    const lists = join(temp, "lists");
    mkdirSync(join(lists, "partial"), { recursive: true });
    try {
      run("apt-get", "download", ...packages);
    } catch {
      // The system's lists are old or empty: with lists of its own.
      const own = ["-o", `Dir::State::Lists=${lists}`, "-o", "Debug::NoLocking=1"];
      run("apt-get", ...own, "update");
      run("apt-get", ...own, "download", ...packages);
    }
    const made = join(temp, "made");
    for (const file of readdirSync(temp)) if (file.endsWith(".deb")) run("dpkg", "-x", file, made);
    execFileSync("ln", ["-s", "usr/bin/redis-check-rdb", join(made, "redis-server")]);
    if (!existsSync(unpacked)) renameSync(made, unpacked);
  } catch {
    // Another process may have done the same meanwhile.
    return fromCache();
  } finally {
    rmSync(temp, { recursive: true, force: true });
  }
  return fromCache();
}
