// A vitest reporter for scripts/test.js: writes the skipped tests with their reasons, which the JSON reporter leaves out.
import { writeFileSync } from "node:fs";

export default class SkipReporter {
  onTestRunEnd(modules) {
    const skipped = modules.flatMap((module) =>
      [...module.children.allTests("skipped")].map((test) => ({
        name: `${module.relativeModuleId} > ${test.fullName}`,
        reason: test.result().note,
      })),
    );
    writeFileSync(process.env.SKIPS_FILE, JSON.stringify(skipped));
  }
}
