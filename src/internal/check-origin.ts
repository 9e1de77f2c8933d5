/** The origin that `npx socket-session check` plays a page of: a site that nobody can have. */
export const checkOrigin = "https://socket-session-check.invalid";

/**
 * With this header the check asks the middleware why the session's cookie may not come; the answer is a code under the same
 * name. From outside, a page that makes no session looks like one whose secure cookie express-session keeps.
 */
export const checkHeader = "x-socket-session-check";
