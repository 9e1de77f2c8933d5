// Secrets that stand in examples, so that everybody knows them.

/** In small letters, and without what is no letter. */
const known =
  /^(?:keyboardcat|secret|asecret|mysecret|yoursecret|changeme|(?:for)?development(?:only)?|sessionsecret|password|shhh+|test|dev)$/;

/** Characters below which a secret can be guessed. */
export const shortestSecret = 32;

/** Whether a secret is one that stands in examples, those of this library too. */
export function isKnownSecret(secret: string | Buffer): boolean {
  if (secret.length >= shortestSecret) return false;
  const letters = String(secret)
    .toLowerCase()
    .replaceAll(/[^a-z]/g, "");
  return known.test(letters);
}
