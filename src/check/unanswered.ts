// Why a server does not answer, in sentences: by the error of a request.
import { patience } from "./visitor.js";

/** Codes of Node's and OpenSSL's errors for a certificate that nobody vouches for. */
const untrusted = /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_(?:VERIFY|GET)_\w+)$/;
const noTls = /^(?:EPROTO|ERR_SSL_(?:WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG))$/;
const cutOff = /^(?:UND_ERR_SOCKET|ECONNRESET)$/;

/** What happened, and what to do. */
export function whyUnanswered(error: unknown, { protocol, host, hostname }: URL): string {
  const { cause, name } = error as Error & { cause?: { code?: unknown; message?: unknown } };
  const why = [cause?.code, cause?.message].find((one) => typeof one === "string") ?? name;
  if (why === "ECONNREFUSED") return `Nobody listens at ${host} (${why}). Start the server, or mend the port.`;
  if (why === "ENOTFOUND" || why === "EAI_AGAIN")
    return `There is no host ${hostname} (${why}). Mend its name, or look at your network.`;
  if (name === "TimeoutError")
    return `It has not answered within ${patience / 1000} s. Look at the server's log: a page may wait for its store.`;
  if (untrusted.test(why))
    return `Its certificate is not trusted here (${why}). If it is yours, start the check with NODE_EXTRA_CA_CERTS=cert.pem.`;
  if (why === "CERT_HAS_EXPIRED") return `Its certificate has expired (${why}): browsers show no page. Renew it.`;
  if (why === "ERR_TLS_CERT_ALTNAME_INVALID")
    return `Its certificate is not for ${hostname} (${why}): browsers show no page. Check the name that it is for.`;
  if (noTls.test(why))
    return `It speaks no TLS at ${host} (${why}). Write http:// there, or give the server a certificate.`;
  if (cutOff.test(why) && protocol === "http:")
    return `It closes connections without an answer (${why}). If it speaks TLS there, write https://.`;
  return `It does not answer (${why}). Start it, or mend the address.`;
}
