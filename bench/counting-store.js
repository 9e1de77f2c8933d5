// express-session's MemoryStore that counts how often it is asked.
import session from "express-session";

/** Of the one store of this process. */
export const calls = { reads: 0, writes: 0 };

export class CountingStore extends session.MemoryStore {
  get(id, callback) {
    calls.reads++;
    super.get(id, callback);
  }

  set(id, data, callback) {
    calls.writes++;
    super.set(id, data, callback);
  }

  touch(id, data, callback) {
    calls.writes++;
    super.touch(id, data, callback);
  }
}
