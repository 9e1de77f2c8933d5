// What the close code of a WebSocket says to a page. Knows the codes that the server closes with, nothing else.

/**
 * Whether a WebSocket of a page should come back after it was closed with this code. False for the codes with which the
 * server closes where coming back cannot help: 4401 (there is no session any more) and 1008 (this page may not be here).
 * True for all others: 4205 (the session has a new id, and the browser its new cookie), 1013 (the session store does not
 * answer) and whatever is not of this library.
 *
 * @param closeCode the `code` of the WebSocket's `close` event.
 * @example
 * ```ts
 * const socket = new PartySocket({ host, shouldReconnectOnClose: ({ code }) => shouldRetry(code) });
 * ```
 */
export function shouldRetry(closeCode: number): boolean {
  return closeCode !== 4401 && closeCode !== 1008;
}
