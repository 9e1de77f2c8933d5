import type { ServerOptions } from "socket.io";

export interface AdapterNode {
  readonly url: string;
  close(): Promise<void>;
}

export function startNode(adapter: ServerOptions["adapter"]): Promise<AdapterNode>;
