import { inspect } from "node:util";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ChangeTracker } from "../../src/session/change-tracker.js";

const owner = {
  fill: vi.fn(),
  allowsChange: vi.fn(() => true),
  accepts: vi.fn(() => true),
  onChange: vi.fn(),
  onUntrackedReference: vi.fn(),
};

class Data extends ChangeTracker {
  readonly data = this.track(this.root);
  protected override fill = owner.fill;
  protected allowsChange = owner.allowsChange;
  protected accepts = owner.accepts;
  protected override onChange = owner.onChange;
  protected override onUntrackedReference = owner.onUntrackedReference;
}

let data: any;
let root: any;

beforeEach(() => {
  vi.clearAllMocks();
  root = { list: [3, 1, 2], nested: { deep: { n: 1 } }, when: new Date(0), map: new Map() };
  data = new Data(root).data;
});

describe("track", () => {
  test.each<[string, () => unknown]>([
    ["a field", () => (data.n = 1)],
    ["a deep field", () => data.nested.deep.n++],
    ["push", () => data.list.push(4)],
    ["sort", () => data.list.sort()],
    ["splice", () => data.list.splice(0, 1)],
    ["length", () => (data.list.length = 0)],
    ["delete", () => delete data.nested.deep],
    ["defineProperty", () => Object.defineProperty(data, "n", { value: 1, enumerable: true })],
    ["Object.assign", () => Object.assign(data.nested, { more: 1 })],
  ])("notices %s", (_, change) => {
    change();
    expect(owner.onChange).toHaveBeenCalled();
  });

  test.each<[string, () => unknown]>([
    ["reading", () => JSON.stringify(data)],
    ["the same value", () => (data.nested.deep.n = 1)],
    ["the same object", () => Object.assign(data, { nested: data.nested })],
    ["deleting what is not there", () => delete data.nothing],
    ["iterating", () => [...data.list, ...Object.entries(data)]],
  ])("does not take %s for a change", (_, look) => {
    look();
    expect(owner.onChange).not.toHaveBeenCalled();
  });

  test("keeps plain objects behind the proxies, whatever is put where", () => {
    data.again = data.nested;
    data.list.push(data.nested.deep);
    expect(root.again).toBe(root.nested);
    expect(root.list[3]).toBe(root.nested.deep);
    expect(data.again).toBe(data.nested);
    expect(owner.onUntrackedReference).not.toHaveBeenCalled();
  });

  test("tells of an object that the application still holds", () => {
    const mine = (data.cart ??= []);
    expect(mine).not.toBe(data.cart);
    expect(owner.onUntrackedReference).toHaveBeenCalledOnce();
  });

  test("gives dates and maps as they are, arrays as arrays", () => {
    expect(data.when.getTime()).toBe(0);
    expect(data.map.size).toBe(0);
    expect(Array.isArray(data.list)).toBe(true);
    expect(data.list.toSorted()).toEqual([1, 2, 3]);
  });

  test("asks before a change, and drops what is not allowed without throwing", () => {
    owner.allowsChange.mockReturnValueOnce(false).mockReturnValueOnce(false);
    data.n = 1;
    delete data.nested;
    expect(root.n).toBeUndefined();
    expect(data.nested.deep.n).toBe(1);
  });

  test("cannot be frozen: changes from elsewhere come into these objects", () => {
    expect(() => Object.freeze(data.nested)).toThrow(TypeError);
  });

  test("can be looked at in logs", () => {
    expect(inspect(data.nested)).toBe("{ deep: { n: 1 } }");
  });
});
