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

/** What the client uses of a `BroadcastChannel`. */
export interface Channel {
  postMessage(message: Message): void;
  close(): void;
}

/** The channel to the other tabs that give the same name; undefined where there are none. */
export function openTabs(name: string, onMessage: (message: Message) => void): Channel | undefined {
  // Outside of a browser one process may hold sockets of several users, who share no cookie.
  if (!here.location || !here.BroadcastChannel) return undefined;
  const channel = new BroadcastChannel(name);
  // oxlint-disable-next-line unicorn/prefer-add-event-listener -- shorter; the channel is ours alone
  channel.onmessage = ({ data }: MessageEvent) => onMessage(data as Message);
  return channel;
}
