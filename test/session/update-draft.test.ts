// The data that a function given to update() gets: plain data behind the rules of a socket's session.
import session from "express-session";
import { expect, onTestFinished, test, vi } from "vitest";
import { changeSafely } from "../../src/session/update-draft.js";

const start = () => ({
  cookie: Object.assign(new session.Cookie(), { originalMaxAge: 60_000 }),
  user: "ada",
  nested: { deep: {} as Record<string, unknown> },
});

function change<T>(run: (data: any) => T) {
  const data = start();
  const refused = vi.fn();
  const result = changeSafely(data, run, refused);
  return { data: data as any, refused, result };
}

test("changes go to the very data, without proxies", () => {
  // express-session's cookie looks at the clock twice.
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const list: unknown[] = [];
  const { data, refused } = change((draft) => {
    draft.user = "bob";
    draft.list = list;
    draft.nested.deep.again = draft.nested;
    delete draft.nothing;
    draft.cookie.maxAge = 5000;
  });
  expect(data.user).toBe("bob");
  expect(data.list).toBe(list);
  expect(data.nested.deep.again).toBe(data.nested);
  expect(data.cookie.originalMaxAge).toBe(5000);
  expect(refused).not.toHaveBeenCalled();
});

test("what the function returns is given back, data of the session without its proxy", () => {
  expect(change(() => 7).result).toBe(7);
  const { data, result } = change((draft) => draft.nested);
  expect(result).toBe(data.nested);
});

test.each<[string, (draft: any) => unknown, string]>([
  ["the name of a method", (draft) => (draft.save = 1), `"save"`],
  ["in place of the cookie what is none", (draft) => (draft.cookie = {}), `"cookie"`],
  ["the prototype", (draft) => Object.assign(draft, JSON.parse(`{"__proto__":{"a":1}}`)), `"__proto__"`],
  ["in the cookie what it cannot be", (draft) => (draft.cookie.maxAge = "x"), `cookie["maxAge"]`],
  ["in the cookie a method's name", (draft) => (draft.cookie.serialize = 1), `cookie["serialize"]`],
])("%s is refused and reported; other changes count", (_, spoil, name) => {
  const { data, refused } = change((draft) => {
    spoil(draft);
    draft.user = "bob";
  });
  expect(refused.mock.calls).toMatchObject([[{ code: "DATA_INVALID", message: expect.stringContaining(name) }]]);
  expect(JSON.stringify(data)).toBe(JSON.stringify({ ...start(), user: "bob" }));
});
