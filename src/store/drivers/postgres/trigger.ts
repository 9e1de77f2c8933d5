// The trigger that tells nodes of changes by services without this library: they write the table and notify nobody.
// Knows the table by its name only.
import { ownPrefix } from "./own-rows.js";

/** A setting of the transaction in which the driver notifies by itself. */
const told = "socket_session.told";

/** In a statement of the driver: the trigger leaves the rows of this transaction alone. */
export const isTold = `set_config('${told}', '1', true)`;

/** The channel of a table's notices. It stays when the table is made again, and no matter how a node names the table. */
export function channelOf(oid: string): string {
  const name = "relnamespace::regnamespace::text || '.' || quote_ident(relname)";
  return `(SELECT 'socket_session_' || ${noticeNameOf(name)} FROM pg_class WHERE oid = ${oid})`;
}

/** In SQL what `noticeName()` makes of a text. */
export function noticeNameOf(text: string): string {
  return `left(encode(sha256(convert_to(${text}, 'UTF8')), 'hex'), 32)`;
}

/** The trigger's name on each table. */
export const triggerName = "socket_session_change";

/**
 * Makes the trigger of `table`, with its function: both names are quoted. It tells of another text and of a row that
 * was deleted, but not of a later expiry, which nodes look up when they need it.
 */
export function triggerStatements(table: string, trigger: string): string[] {
  return [
    `CREATE OR REPLACE FUNCTION ${trigger}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
  IF current_setting('${told}', true) = '1' OR starts_with(OLD.sid, '${ownPrefix}') THEN RETURN NULL; END IF;
  IF TG_OP = 'DELETE' THEN
    IF OLD.expire <= now() THEN RETURN NULL; END IF;
  ELSIF NEW.sess::text = OLD.sess::text THEN RETURN NULL;
  END IF;
  PERFORM pg_notify(
    ${channelOf("TG_RELID")},
    ${noticeNameOf("OLD.sid")} || ' trigger changed');
  RETURN NULL;
END $body$;`,
    `CREATE OR REPLACE TRIGGER ${triggerName} AFTER UPDATE OF sess OR DELETE ON ${table}
  FOR EACH ROW EXECUTE FUNCTION ${trigger}();`,
  ];
}
