// What a live session needs of the registry that it is in.
import type { EndCode } from "../errors.js";
import type { SessionBackend } from "../store/session-backend.js";
import type { Views } from "./view.js";

/** What a storage lost: changes that it had stored, or the whole session. */
export type Lost = "changes" | "session";

/** What sessions of this kind tell, and what they share. */
export interface SessionHost<Session> {
  readonly store: SessionBackend;
  /** How long a session may be trusted without a read of a shared store, in ms. */
  readonly lease: number;
  /** How long handlers may go on while the store does not answer, in ms. */
  readonly maxStale: number;
  /** What pages may see. */
  readonly views: Views;
  /** Asks for a tick of the session at this moment, one of `monotonicNow()`. */
  wakeAt(session: Session, at: number): void;
  /** There are changes to save. */
  onDirty(session: Session): void;
  onSaveError(error: unknown): void;
  /** What is stored could not be brought into the data, because of a change of this node. */
  onUnmerged(session: Session, text: string): void;
  /** The store has taken what was changed. */
  onSaved(): void;
  /** What is stored has changed; `isNews` where not only by this node. */
  onChange(session: Session, isDataChanged: () => boolean, isNews: boolean): void;
  onEnd(session: Session, code: EndCode): void;
  /** The storage came back from an outage without the session, or without changes that it had stored. */
  onLost(session: Session, what: Lost): void;
  /** Lets go of the session where nothing holds it any more. */
  releaseIfIdle(session: Session): void;
}
