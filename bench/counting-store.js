// express-session's MemoryStore that counts how often it is asked.
import session from "express-session";

export class CountingStore extends session.MemoryStore {
  reads = 0;
  writes = 0;

  get(id, callback) {
    this.reads++;
    super.get(id, callback);
  }

  set(id, data, callback) {
    this.writes++;
    super.set(id, data, callback);
  }

  touch(id, data, callback) {
    this.writes++;
    super.touch(id, data, callback);
  }
}
