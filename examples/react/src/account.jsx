import { io } from "socket.io-client";
import { withSession } from "socket-session/client";
import { useSession } from "socket-session/react";

// Outside of components: one socket for the page.
const socket = io();
const session = withSession(socket);

const post = (path) => fetch(path, { method: "POST" });

export function Account() {
  const { view, ended, expiring } = useSession(session);
  return (
    <>
      <button id="login" onClick={() => post("/login").then(() => socket.connect())}>
        Log in
      </button>
      <button id="like" onClick={() => socket.emit("like")}>
        Like
      </button>
      <button id="logout" onClick={() => post("/logout")}>
        Log out
      </button>
      {expiring && <button onClick={() => session.renew()}>Stay signed in</button>}
      <p id="text" role="status">
        {ended ? `No session: ${ended}` : view ? `${view.user}: ${view.likes} likes` : "…"}
      </p>
    </>
  );
}
