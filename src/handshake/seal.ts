// Sealed texts: what a client keeps for the server without being able to read or to make it (tickets). Encrypted and
// authenticated (AES-256-GCM, NIST SP 800-38D) under keys derived from the secrets (HKDF, RFC 5869), valid until a moment.
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";

const ivLength = 12;
const tagLength = 16;
const head = ivLength + tagLength;

export class Seal {
  readonly #keys: readonly Buffer[];

  /** The first secret seals, all of them open. What was sealed for one purpose does not open for another. */
  constructor(secrets: readonly (string | Buffer)[], purpose: string) {
    this.#keys = secrets.map((secret) => Buffer.from(hkdfSync("sha256", secret, "", `socket-session ${purpose}`, 32)));
  }

  /** Seals a text until `expires` (ms since 1970); base64url without padding. */
  seal(text: string, expires: number): string {
    const iv = randomBytes(ivLength);
    const cipher = createCipheriv("aes-256-gcm", this.#keys[0] as Buffer, iv, { authTagLength: tagLength });
    const body = Buffer.concat([cipher.update(`${expires} ${text}`, "utf8"), cipher.final()]);
    return Buffer.concat([iv, cipher.getAuthTag(), body]).toString("base64url");
  }

  /** The text, or undefined for what was not sealed here for this purpose, or is over. */
  open(sealed: string, now = Date.now()): string | undefined {
    const bytes = Buffer.from(sealed, "base64url");
    if (bytes.length <= head) return undefined;
    for (const key of this.#keys) {
      const opened = decrypt(key, bytes);
      if (opened === undefined) continue;
      const at = opened.indexOf(" ");
      return now < Number(opened.slice(0, at)) ? opened.slice(at + 1) : undefined;
    }
    return undefined;
  }
}

function decrypt(key: Buffer, bytes: Buffer): string | undefined {
  const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, ivLength), { authTagLength: tagLength });
  decipher.setAuthTag(bytes.subarray(ivLength, head));
  try {
    return decipher.update(bytes.subarray(head), undefined, "utf8") + decipher.final("utf8");
  } catch {
    return undefined;
  }
}
