// Why a server does not answer: each cause has its own sentence.
import { expect, test } from "vitest";
import { whyUnanswered } from "../../src/check/unanswered.js";

const url = new URL("https://app.example.com:8443/login");
const failed = (code: string): Error => new TypeError("fetch failed", { cause: { code } });

test.each([
  [failed("ECONNREFUSED"), "Nobody listens at app.example.com:8443"],
  [failed("ENOTFOUND"), "There is no host app.example.com (ENOTFOUND)"],
  [failed("SELF_SIGNED_CERT_IN_CHAIN"), "NODE_EXTRA_CA_CERTS=cert.pem"],
  [failed("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "NODE_EXTRA_CA_CERTS=cert.pem"],
  [failed("CERT_HAS_EXPIRED"), "Renew it"],
  [failed("ERR_TLS_CERT_ALTNAME_INVALID"), "is not for app.example.com"],
  [failed("EPROTO"), "Write http:// there"],
  [failed("UND_ERR_SOCKET"), "It does not answer (UND_ERR_SOCKET)"],
  [new DOMException("aborted", "TimeoutError"), "has not answered within 10 s"],
  [new TypeError("fetch failed", { cause: new Error("bad port") }), "It does not answer (bad port)"],
])("%s", (error, sentence) => {
  expect(whyUnanswered(error, url)).toContain(sentence);
});
