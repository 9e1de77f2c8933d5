// The types of runtimes.js, for the tests.

/** The folder of a Node of this major version: the one that runs this, or one from the registry. */
export function folderOfNode(major: number): string;
/** The folder of a runtime's program, such as that of `bun@1.4`. */
export function folderOfRuntime(runtime: string): string;
