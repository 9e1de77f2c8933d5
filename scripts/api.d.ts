// The types of api.js, for the tests.

export const reportPath: string;
export function apiReport(packageDir: string): string;
