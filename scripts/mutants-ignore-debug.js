// A Stryker plugin: what is only there for the debug log is not mutated. No promise speaks of its texts, so no test does.

/** True for a statement that calls `debug` and does nothing else. */
const isForDebug = (node) =>
  node.type === "IfStatement"
    ? !node.alternate && isForDebug(node.consequent)
    : node.type === "ExpressionStatement" && node.expression.callee?.name === "debug";

const shouldIgnore = ({ node }) => (isForDebug(node) ? "It is for the debug log only." : undefined);

export const strykerPlugins = [{ kind: "Ignore", name: "debug", value: { shouldIgnore } }];
