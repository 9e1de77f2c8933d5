import { promisify } from "node:util";
import { session } from "../../session.js";

export async function POST() {
  // Check the password here.
  const old = session();
  await promisify(old.regenerate).call(old);
  session().user = "ada";
  return new Response("ada");
}
