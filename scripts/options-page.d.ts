// The types of options-page.js, for the tests.
export const pagePath: string;
export function readSources(): string;
export function optionsPage(sources: string): string;
