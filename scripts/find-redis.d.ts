// The types of find-redis.js, for the tests.

export function findRedis(): { readonly command: string; readonly env: NodeJS.ProcessEnv };
