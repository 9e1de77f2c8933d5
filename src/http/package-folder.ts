// Where this package's dist/ is. The build has another text of this file for CommonJS, which knows no import.meta.
import { join } from "node:path";

/** The folder that has the script for pages without a bundler. */
export const clientFolder: string = join(import.meta.dirname, "../../client");
