// Loads a peer where it is used. The build has another text of this file for CommonJS, which knows no import.meta.
import { createRequire } from "node:module";

/** Loads a package as `require()` does, at once, ES modules too. A missing one is Node's `MODULE_NOT_FOUND`. */
export const load: (name: string) => unknown = createRequire(import.meta.url);
