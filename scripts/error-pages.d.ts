// The types of error-pages.js, for the tests.

/** The tables of the sources, by their names there. */
export interface Tables {
  readonly help: Readonly<Record<string, { what: string; cause: string; fix: string; retry?: true }>>;
  readonly texts: Readonly<Record<string, string>>;
  readonly statusOf: Readonly<Record<string, number>>;
  readonly closeCodeOf: Readonly<Record<string, number>>;
}

export const pagesFolder: string;
export const notes: string;
export function errorPages(tables: Tables, notes: string): ReadonlyMap<string, string>;
