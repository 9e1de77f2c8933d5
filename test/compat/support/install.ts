// Global setup of the tests that need the stacks of earlier years: installs them where they are missing or outdated.
import { install } from "../../../scripts/install.js";

export function setup(): void {
  // Packages that find each other by name have a folder for each set of their versions.
  install(["test/stacks", "test/stacks/nest-11", "test/stacks/nest-12", "test/stacks/react-18", "test/stacks/vite"]);
}
