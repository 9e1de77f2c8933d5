// Packages that a test needs only for some kinds of connections: the user's own, found when they are needed.
import { createRequire } from "node:module";
import { join } from "node:path";
import { clientFolder } from "../http/package-folder.js";

/** Loads a package. @throws Error that says what to install */
export function loadPeer(name: string, use: string): unknown {
  // Beside this package, as any peer is; else in the project that runs the test.
  for (const folder of [clientFolder, process.cwd()]) {
    const load = createRequire(join(folder, "index.js"));
    try {
      load.resolve(name);
    } catch {
      continue;
    }
    return load(name);
  }
  throw new Error(`${use} needs the package ${name}. Install it: npm install --save-dev ${name}`);
}
