/** Does nothing: for a failure that somebody else is told of. */
export function noop(): void {}
