import { connection } from "next/server";
import { session } from "../session.js";
import { Likes } from "./likes.js";

export default async function Page() {
  // The page is made anew for each request: it depends on the session.
  await connection();
  const { user, likes = 0 } = session();
  return user ? <Likes user={user} likes={likes} /> : <p>Nobody is logged in.</p>;
}
