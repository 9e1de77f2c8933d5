// Whether the close code of a WebSocket is final. Knows the codes that the server closes with, nothing else.

/**
 * Whether a page should open its WebSocket again after the server closed it with this code. False where that cannot
 * help: 4401 (there is no session any more), 3003 (it may not be here) and 1008 (too many of its messages waited). True for
 * all others: 4205 (the session has a new id, and the browser its new cookie), 1013 (the store does not answer) and codes
 * of other programs.
 *
 * @param closeCode the `code` of the WebSocket's `close` event.
 * @example
 * ```ts
 * const socket = new PartySocket({ host, shouldReconnectOnClose: ({ code }) => shouldRetry(code) });
 * ```
 */
export function shouldRetry(closeCode: number): boolean {
  return closeCode !== 4401 && closeCode !== 3003 && closeCode !== 1008;
}
