import { connection } from "next/server";
import { session } from "../../session.js";

export async function GET() {
  await connection();
  return Response.json({ likes: session().likes ?? 0 });
}
