"use client";
import { useEffect, useState } from "react";
import { io } from "socket.io-client";

export function Likes({ user, likes }) {
  const [count, setCount] = useState(likes);
  const [socket, setSocket] = useState();
  useEffect(() => {
    const opened = io();
    opened.on("session:end", () => location.reload());
    setSocket(opened);
    return () => opened.disconnect();
  }, []);
  const like = () => {
    socket.emit("like");
    setCount(count + 1);
  };
  return (
    <button disabled={!socket} onClick={like}>
      {user} likes this {count} times
    </button>
  );
}
