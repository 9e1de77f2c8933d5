// Global setup of the tests that need the stacks of earlier years: installs them where they are missing or outdated.
import { install } from "../../../scripts/install.js";

export function setup(): void {
  // The versions of a framework whose packages find each other by name have a folder each.
  install(["test/stacks", "test/stacks/nest-11", "test/stacks/nest-12"]);
}
