// Where this package's dist/ is. The build has another text of this file for CommonJS, which knows no import.meta.
import { dirname, join } from "node:path";

/** The folder that has the script for pages without a bundler. */
export const clientFolder: string = join(dirname(dirname(import.meta.dirname)), "client");
