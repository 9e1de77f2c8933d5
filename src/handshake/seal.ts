// Seals texts that a client keeps, and can neither read nor make. They are encrypted and authenticated (AES-256-GCM, NIST
// SP 800-38D) under keys derived from the secrets (HKDF, RFC 5869), and valid for a while.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import { SessionError } from "../errors.js";
import { monotonicNow } from "../internal/monotonic.js";
import { systemNow } from "../internal/system-time.js";

const saltLength = 16;
const keyLength = 32;
const ivLength = 12;
const tagLength = 16;
const head = saltLength + tagLength;
/** What this process calls itself in what it seals. */
const self = randomBytes(6).toString("base64url");

/**
 * Seals texts for one purpose.
 *
 * @example
 * ```ts
 * const seal = new Seal([newSecret, oldSecret], "ticket");
 * const ticket = seal.seal(id, 60_000);
 * seal.open(ticket); // id, for a minute
 * ```
 */
export class Seal {
  readonly #secrets: readonly (string | Buffer)[];
  readonly #purpose: string;

  /**
   * The first secret seals, all of them open. What was sealed for one purpose does not open for another.
   *
   * @throws SessionError `OPTION_INVALID` without a secret, or with an empty one.
   */
  constructor(secrets: readonly (string | Buffer)[], purpose: string) {
    if (secrets.length === 0 || secrets.some((secret) => secret.length === 0)) {
      throw new SessionError("OPTION_INVALID", { detail: "A secret must be a string or Buffer, and not empty." });
    }
    this.#secrets = secrets;
    this.#purpose = `socket-session ${purpose}`;
  }

  /** Seals a text for `lifetime` ms; base64url without padding. */
  seal(text: string, lifetime: number): string {
    // By the system's clock for other processes; by the monotonic one for this, whose clock may be set.
    const expires = `${Math.round(systemNow() + lifetime)} ${self} ${Math.floor(monotonicNow() + lifetime)}`;
    // A key for each text: under one key, no more than 2^32 texts may have a random IV.
    const salt = randomBytes(saltLength);
    const { key, iv } = this.#keyOf(this.#first, salt);
    const cipher = createCipheriv("aes-256-gcm", key, iv);
    const body = Buffer.concat([cipher.update(`${expires} ${text}`), cipher.final()]);
    return Buffer.concat([salt, cipher.getAuthTag(), body]).toString("base64url");
  }

  /** The text, or undefined for what was not sealed here for this purpose, or is over. With `whenever`, also if over. */
  open(sealed: string, whenever = false): string | undefined {
    const bytes = Buffer.from(sealed, "base64url");
    if (bytes.length <= head) return undefined;
    for (const secret of this.#secrets) {
      const opened = this.#decrypt(secret, bytes);
      if (opened === undefined) continue;
      const [, expires, by, until, text] = /^(\d+) (\S+) (\d+) (.*)/su.exec(opened) ?? [];
      const isGood = by === self ? monotonicNow() < Number(until) : systemNow() < Number(expires);
      return isGood || whenever ? text : undefined;
    }
    return undefined;
  }

  /** A keyed hash: the same for the same text, wherever the secret is the same, and tells nothing of the text. */
  hash(text: string): string {
    const key = hkdfSync("sha256", this.#first, "", `${this.#purpose} hash`, keyLength);
    return createHmac("sha256", Buffer.from(key)).update(text).digest("base64url");
  }

  get #first(): string | Buffer {
    return this.#secrets[0] as string | Buffer;
  }

  #keyOf(secret: string | Buffer, salt: Buffer): { key: Buffer; iv: Buffer } {
    const bytes = Buffer.from(hkdfSync("sha256", secret, salt, this.#purpose, keyLength + ivLength));
    return { key: bytes.subarray(0, keyLength), iv: bytes.subarray(keyLength) };
  }

  #decrypt(secret: string | Buffer, bytes: Buffer): string | undefined {
    const { key, iv } = this.#keyOf(secret, bytes.subarray(0, saltLength));
    const decipher = createDecipheriv("aes-256-gcm", key, iv, { authTagLength: tagLength });
    decipher.setAuthTag(bytes.subarray(saltLength, head));
    try {
      return Buffer.concat([decipher.update(bytes.subarray(head)), decipher.final()]).toString();
    } catch {
      return undefined;
    }
  }
}
