// The names by which browsers reach this server, where the application lists them. An attacker can let another
// name point here (DNS rebinding): the browser then takes the attacker's pages for pages of this server's own origin.
import { invalid, kindOf, shown } from "../internal/check-options.js";

/** Whether an origin is at one of this server's hosts. */
export type OwnHosts = (origin: string) => boolean;

interface OwnHost {
  readonly name: string;
  /** Undefined takes any. */
  readonly port: string | undefined;
}

/**
 * Reads the `hosts` option: `"app.example.com"` at any port, `"localhost:3000"` at this one, `".example.com"` with all
 * below it.
 *
 * @throws SessionError `OPTION_INVALID`
 */
export function ownHosts(hosts: unknown): OwnHosts | undefined {
  if (hosts === undefined) return undefined;
  if (!Array.isArray(hosts)) throw invalid(`hosts must be a list of names, not ${kindOf(hosts)}.`);
  if (hosts.length === 0)
    throw invalid("hosts must be a list of at least one name: otherwise nobody reaches this server.");
  const own = hosts.map(parse);
  return (origin) => {
    const { protocol, hostname, port } = new URL(origin);
    const at = port || (protocol === "https:" ? "443" : "80");
    return own.some(({ name, port: only }) => {
      const isNamed = name.startsWith(".") ? `.${hostname}`.endsWith(name) : hostname === name;
      return isNamed && (only === undefined || only === at);
    });
  };
}

function parse(host: unknown): OwnHost {
  const [, dot = "", name = "", port] =
    (typeof host === "string" && /^(\.?)(\[[^\]]+\]|[^:/?#@\\*\s.][^:/?#@\\*\s]*)(?::(\d{1,5}))?$/.exec(host)) || [];
  const url = `http://${name}`;
  const isPort = port === undefined || (Number(port) > 0 && Number(port) < 65_536);
  if (!URL.canParse(url) || !isPort) {
    const names = 'names such as "app.example.com", "localhost:3000", or ".example.com" with all below it';
    throw invalid(`hosts must contain ${names}, not ${shown(host)}.`);
  }
  return { name: dot + new URL(url).hostname, port: port === undefined ? undefined : String(Number(port)) };
}
