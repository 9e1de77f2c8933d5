// Loads a peer where it is used. The build has another text of this file for CommonJS, which knows no import.meta.
import { createRequire } from "node:module";
import { invalid } from "./check-options.js";

const loadAny = createRequire(import.meta.url);

/**
 * Loads a package as `require()` does, at once, ES modules too.
 *
 * @throws SessionError `OPTION_INVALID` where it is not installed: says how to do that
 */
export function load(name: string): unknown {
  try {
    return loadAny(name) as unknown;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    // A package that is there may miss one of its own.
    if (code !== "MODULE_NOT_FOUND" || !message.includes(`'${name}'`)) throw error;
    throw invalid(`The package ${name} is missing: npm install ${name}.`, error);
  }
}
