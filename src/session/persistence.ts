// What a live session knows of the store, and what it has over it: takes in what others changed, saves what was
// changed here. Knows nothing of connections, nor of time but for trying again.
import { type EndCode, endCodeOf, SessionError } from "../errors.js";
import { type Awaitable, isPromise, promised } from "../internal/awaitable.js";
import { monotonicNow, never } from "../internal/monotonic.js";
import { noop } from "../internal/noop.js";
import { rebaseText, stringify } from "../store/record/session-record.js";
import { ChangeTracker } from "./change-tracker.js";
import { fillRoot, isOther, keepCookie, rebaseRoot } from "./rebase.js";
import { failedAgain, hopeless, type SaveFailure } from "./save-failure.js";
import type { SessionHost } from "./session-host.js";
import { createRoot, refusalOf } from "./socket-session.js";
import { UntrackedReference } from "./untracked-reference.js";

/** A save under way. */
interface Save {
  /** Settles with it; undefined while the store may still answer at once. */
  done: Promise<void> | undefined;
  /** What its changes stand on. */
  base: string;
  /** What it asked for; undefined when the store has taken it. */
  sent: string | undefined;
  /** The save after it, for all who changed something meanwhile. */
  next: Promise<void> | undefined;
}

/** Session data that saves itself. */
export abstract class PersistentSession extends ChangeTracker {
  readonly id: string;
  ended: EndCode | undefined;
  protected readonly host: SessionHost<PersistentSession>;

  /** What is stored, as far as known; with what the root differs, it has unsaved changes. */
  #base = "";
  #isFilled = false;
  #isDirty = false;
  #isScheduled = false;
  #save: Save | undefined;
  #untracked: UntrackedReference | undefined;
  #failed: SaveFailure | undefined;
  #isAbandoned = false;

  constructor(id: string, host: SessionHost<PersistentSession>) {
    super(createRoot());
    this.id = id;
    this.host = host;
  }

  /** The session is over: its code says why. */
  abstract end(code: EndCode): void;
  /** The store was seen to have `text`: it had `before`, and `expected` is what it should have now. */
  protected abstract onStoredText(before: string, text: string, expected: string): void;
  /** Called where the store does not have it any more, and nobody knows why: ends the session. */
  protected abstract onMissing(): void;

  /** What is stored, as far as known; "" before it was read. */
  get stored(): string {
    return this.#base;
  }

  /** What the save under way asks for, on top of what others have stored since. */
  get sent(): string | undefined {
    return this.#save?.sent;
  }

  /** True where the store has every change made here. */
  get isSaved(): boolean {
    this.findUntrackedChanges();
    return !this.#isDirty && !this.#save;
  }

  /** True where changes made here are known to wait for the store. */
  get isPending(): boolean {
    return this.#isDirty || this.#save !== undefined;
  }

  /** Gives up what waits for the store. */
  abandon(): void {
    this.#isAbandoned = true;
    this.dropChanges();
  }

  /** True where nothing is left that could still be saved. What cannot be stored is not waited for. */
  get isAtRest(): boolean {
    return this.isSaved || this.#failed?.retryAt === never;
  }

  /** True where this text is what is known to be stored. */
  isKnown(text: string | undefined): boolean {
    return text === this.#base;
  }

  // --- SavingWriter, and what others wrote: all within the session's queue, so that it never goes back in time ---

  /** Somebody else has written: the store has `text` now. */
  applyStored(text: string): void {
    this.#apply(text, this.#base);
  }

  /** The save under way is stored, as `text`. */
  applyCommitted(text: string): void {
    const save = this.#save;
    const sent = save?.sent;
    if (!save || sent === undefined || this.ended) return;
    save.sent = undefined;
    if (!this.#apply(text, sent)) save.sent = sent;
  }

  /** An earlier save, without an answer, turned out to be stored as `text`: what it asked for was `sent`. */
  applyConfirmed(text: string, sent: string): void {
    if (this.ended || !this.#apply(text, sent)) return;
    // The save under way holds what the earlier one did: that is not its own any more.
    if (this.#save) this.#save.base = sent;
  }

  /** Takes `text`, in which `expected` has its place: what was changed since stays on top. False where that fails. */
  #apply(text: string, expected: string): boolean {
    const before = this.#base;
    if (!this.#rebase(text, expected)) return false;
    const save = this.#save;
    if (save?.sent !== undefined && text !== expected) {
      // What the save under way asked for now stands on the newer text.
      save.sent = rebaseText(text, expected, save.sent);
    }
    this.#base = text;
    this.onStoredText(before, text, expected);
    return true;
  }

  /** Brings `text` into the root; what the root has over `expected` stays on top. False where that cannot be told. */
  #rebase(text: string, expected: string): boolean {
    if (!this.#isFilled || text === expected) return true;
    const hasChanges = this.#isDirty || this.#save !== undefined || this.#untracked !== undefined;
    try {
      rebaseRoot(this.root, text, hasChanges ? expected : undefined);
      return true;
    } catch (error) {
      // What cannot be written cannot be merged: it waits, on what it stands on, until it is mended.
      this.host.onSaveError(error);
      this.host.onUnmerged(this, text);
      return false;
    }
  }

  /** Reads the store, within the session's queue. */
  async read(): Promise<void> {
    if (this.ended) throw new SessionError(this.ended);
    const { store } = this.host;
    const isKnown = await store.read(this.id, (text) => {
      if (text === undefined) return false;
      this.applyStored(text);
      return true;
    });
    if (isKnown || this.ended) return;
    const code = store.endOf(this.id)?.code;
    if (code) this.end(code);
    else this.onMissing();
  }

  protected override fill(): void {
    if (this.#isFilled || this.#base === "") return;
    this.#isFilled = true;
    fillRoot(this.root, this.#base);
  }

  protected allowsChange(): boolean {
    if (!this.ended) return true;
    this.host.onSaveError(new SessionError(this.ended, { detail: "A change after its end was dropped." }));
    return false;
  }

  protected override refusal(field: string, value: unknown, isOfCookie: boolean): unknown {
    return refusalOf(field, value, isOfCookie);
  }

  protected override report(error: unknown): void {
    this.host.onSaveError(error);
  }

  protected override onChange(): void {
    this.#isDirty = true;
    this.#isAbandoned = false;
    if (!this.#isRetrying) this.#failed = undefined;
    this.host.onDirty(this);
    if (this.#isScheduled || this.#save) return;
    this.#isScheduled = true;
    // After this turn of the event loop: all handlers of one batch of packets are saved together.
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#isDirty && !this.ended && !this.#isRetrying) this.#saveInBackground();
    });
  }

  /**
   * `session.cart ??= []` gives the application the very array, whose later changes no proxy sees. They are found by
   * comparing: after events, before reads, and at growing distances for a minute.
   */
  protected override onUntrackedReference(): void {
    const isDue = this.#untracked?.isDue ?? false;
    this.#untracked = new UntrackedReference(monotonicNow(), isDue);
    this.host.wakeAt(this, this.#untracked.lookAt);
  }

  /** Looks after this turn of the event loop, once for all its events. */
  protected findUntrackedChangesSoon(): void {
    if (!this.#untracked || this.#untracked.isDue) return;
    this.#untracked.isDue = true;
    setImmediate(() => {
      if (this.#untracked) this.#untracked.isDue = false;
      this.findUntrackedChanges();
    });
  }

  /** Looks for changes that were made behind the proxy. */
  findUntrackedChanges(): void {
    if (!this.#untracked || this.#isDirty || this.#save || this.ended) return;
    try {
      if (isOther(this.root, this.#base)) this.onChange();
    } catch {
      // What cannot be written is told where it is saved.
      this.onChange();
    }
  }

  // --- saving ---

  /** Saves for nobody who waits. What fails has been reported. */
  #saveInBackground(): void {
    try {
      const saving = this.#saveChanges();
      if (isPromise(saving)) saving.catch(noop);
    } catch {
      // The store has failed at once.
    }
  }

  /** Resolves when every change made so far is durable. */
  save(): Promise<void> {
    return promised(() => this.#saveChanges());
  }

  #saveChanges(): Awaitable<void> {
    if (this.ended) throw new SessionError(this.ended);
    this.findUntrackedChanges();
    const under = this.#save;
    if (under) {
      if (under.done && !this.#isDirty) return under.done;
      // It has taken its text: what changed since goes with the next, once for all who wait.
      under.next ??= (under.done ?? Promise.resolve()).then(noop, noop).then(() => {
        under.next = undefined;
        return this.#saveChanges();
      });
      return under.next;
    }
    if (!this.#isDirty) return;
    let text: string;
    try {
      keepCookie(this.root, this.#base);
      text = stringify(this.root);
    } catch (error) {
      // To try again is no use before something is changed; nor to keep the session for it.
      this.#failed = hopeless;
      this.host.onSaveError(error);
      throw error;
    }
    this.#isDirty = false;
    const save: Save = { done: undefined, base: this.#base, sent: text, next: undefined };
    this.#save = save;
    return this.#commit(save, text);
  }

  #commit(save: Save, text: string): Awaitable<void> {
    let committing: Awaitable<void>;
    try {
      committing = this.host.store.commit(this.id, () => save.base, text, this);
    } catch (error) {
      return this.#onCommitFailed(error);
    }
    if (!isPromise(committing)) return this.#onCommitted(save);
    save.done = committing.then(
      () => this.#onCommitted(save),
      (error: unknown) => this.#onCommitFailed(error),
    );
    return save.done;
  }

  #onCommitted(save: Save): void {
    // Where the stored text could not be brought in, what was sent is what is known.
    this.#base = save.sent ?? this.#base;
    this.#failed = undefined;
    this.host.onSaved();
    this.#afterSave();
  }

  #onCommitFailed(error: unknown): never {
    try {
      this.throwIfOver(error);
      if (this.#isAbandoned) throw error;
      const isHopeless = (error as SessionError).code === "DATA_INVALID";
      if (!isHopeless) this.host.wakeAt(this, (this.#failed = failedAgain(this.#failed)).retryAt);
      // What was changed meanwhile may have mended it: it is tried with that.
      else if (!this.#isDirty) this.#failed = hopeless;
      this.#isDirty = true;
      this.host.onSaveError(error);
      throw error;
    } finally {
      this.#afterSave();
    }
  }

  #afterSave(): void {
    this.#save = undefined;
    if (this.ended) return;
    if (this.#isDirty && !this.#failed) this.onChange();
    this.host.releaseIfIdle(this);
  }

  /** Ends the session where an error tells of its end. Throws the code of the end where there is one. */
  protected throwIfOver(error: unknown): void {
    const code = this.ended ? undefined : endCodeOf(error);
    if (code && (error as SessionError).code === "SESSION_UNKNOWN") this.onMissing();
    else if (code) this.end(code);
    if (this.ended) throw new SessionError(this.ended);
  }

  /** True where the store is tried again later, by the clock. */
  get #isRetrying(): boolean {
    return this.#failed !== undefined && this.#failed.retryAt !== never;
  }

  /** Does what is due of saving; answers when something will be. */
  protected tickSaving(now: number): number {
    const untracked = this.#untracked;
    if (untracked && now >= untracked.lookAt) {
      this.findUntrackedChanges();
      untracked.onLooked(now);
      if (untracked.isOver(now)) this.#untracked = undefined;
    }
    if (this.#failed && now >= this.#failed.retryAt) this.#saveInBackground();
    return Math.min(this.#failed?.retryAt ?? never, this.#untracked?.lookAt ?? never);
  }

  /** There is nothing to save any more: the session ended. */
  protected dropChanges(): void {
    this.#isDirty = false;
    this.#failed = undefined;
    this.#untracked = undefined;
  }
}
