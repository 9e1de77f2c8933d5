// Messages between the tabs of one browser. They share the cookie, so a login, a logout or a renewal in one concerns
// all. No message carries session data.
import { here } from "./browser.js";
import type { ClientCode } from "./protocol.js";

/** One tab tells the others of its session's end, of another session, or of a renewal. */
export type Message =
  | { readonly end: ClientCode; readonly login?: never }
  | { readonly login: true }
  /** How long the session lasts now, in ms. */
  | { readonly renewed: number | null };

/** The other tabs of this browser. */
export interface Tabs {
  post(message: Message): void;
  close(): void;
}

/** Joins the tabs that give the same name. */
export function openTabs(name: string, onMessage: (message: Message) => void): Tabs {
  // Outside of a browser one process may hold sockets of several users, who share no cookie.
  let channel = here.location && here.BroadcastChannel && new BroadcastChannel(name);
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- shorter; the channel is ours alone
  if (channel) channel.onmessage = ({ data }: MessageEvent) => onMessage(data as Message);
  return {
    post: (message) => channel?.postMessage(message),
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}
