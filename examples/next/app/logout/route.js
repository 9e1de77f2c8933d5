import { promisify } from "node:util";
import { session } from "../../session.js";

export async function POST() {
  const old = session();
  await promisify(old.destroy).call(old);
  return new Response(null, { status: 204 });
}
