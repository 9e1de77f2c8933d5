// What several may hold on one object: the first begins it, the last who lets go ends it.

/** A function that begins it, unless somebody else holds it already, until the returned call; `begin` gives what ends it. */
export function sharedHold<Target extends object>(
  begin: (target: Target) => () => void,
): (target: Target) => () => void {
  const holds = new WeakMap<Target, { holders: number; readonly end: () => void }>();
  return (target) => {
    const hold = holds.get(target) ?? { holders: 0, end: begin(target) };
    hold.holders++;
    holds.set(target, hold);
    return () => {
      if (--hold.holders > 0) return;
      holds.delete(target);
      hold.end();
    };
  };
}
