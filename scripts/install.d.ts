// The types of install.js, for the tests.
export function install(folders?: readonly string[]): void;
export function pathWithTools(): string;
