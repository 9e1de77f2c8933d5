// What the tabs of one browser tell each other. They share the cookie, so that a login, a logout and a renewal in one
// concern all. Says nothing of the session but that.
import { here } from "./browser.js";
import type { ClientCode } from "./protocol.js";

export type Message =
  | { readonly end: ClientCode; readonly login?: never }
  | { readonly login: true }
  /** The ms that the session lasts now. */
  | { readonly renewed: number | null };

export interface Tabs {
  tell(message: Message): void;
  close(): void;
}

/** Listens to the other tabs that give the same name. */
export function openTabs(name: string, heard: (message: Message) => void): Tabs {
  // Outside of a browser one process may hold sockets of several users: they share no cookie.
  let channel = here.location && here.BroadcastChannel && new BroadcastChannel(name);
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- shorter; the channel is ours alone
  if (channel) channel.onmessage = ({ data }: MessageEvent) => heard(data as Message);
  return {
    tell: (message) => channel?.postMessage(message),
    close() {
      channel?.close();
      channel = undefined;
    },
  };
}
