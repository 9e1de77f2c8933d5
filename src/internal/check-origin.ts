/** The origin that `npx socket-session check` plays a page of: a site that nobody can have. */
export const checkOrigin = "https://socket-session-check.invalid";
