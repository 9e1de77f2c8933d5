declare module "session-file-store" {
  import type session from "express-session";
  const create: (library: typeof session) => new (options: object) => session.Store;
  export default create;
}
