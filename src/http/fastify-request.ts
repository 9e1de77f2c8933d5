// Gives Fastify's request the session of Node's request behind it, where express-session puts it.

/** A Fastify instance, as far as it is used here. */
export interface FastifyDecorations {
  decorateRequest(name: string, accessor: { getter(): unknown; setter?(value: unknown): void }): unknown;
}

/** Fastify's request: `raw` is Node's. */
interface FastifyRequest {
  readonly raw: { session?: unknown; sessionID?: string };
}

/** Makes `request.session` and `request.sessionID` those of `request.raw`. */
export function exposeSession(fastify: FastifyDecorations): void {
  fastify.decorateRequest("session", {
    getter(this: FastifyRequest) {
      return this.raw.session;
    },
    setter(this: FastifyRequest, value) {
      this.raw.session = value;
    },
  });
  fastify.decorateRequest("sessionID", {
    getter(this: FastifyRequest) {
      return this.raw.sessionID;
    },
  });
}
