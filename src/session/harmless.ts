// What all objects share (`toString`, `push`, `save`), as session data gives it: it can be called, but nothing can be
// written to it, nor reached through it, by `session[key][field] = value` with names that a client chose.

type AnyFunction = (this: unknown, ...values: unknown[]) => unknown;

const harmlessOnes = new WeakMap<AnyFunction, AnyFunction>();

/** Of harmless functions. Has what is needed to call one, and leads nowhere else. */
const functionPrototype = Object.create(null) as Record<string, AnyFunction>;

/** The function as one that has no properties and cannot be given any: the same one for each function. */
export function harmless(original: AnyFunction): AnyFunction {
  let made = harmlessOnes.get(original);
  if (made) return made;
  made = {
    run(...values: unknown[]): unknown {
      return Reflect.apply(original, this, values);
    },
  }.run;
  Object.defineProperties(made, { name: { value: original.name }, length: { value: original.length } });
  Object.setPrototypeOf(made, functionPrototype);
  Object.freeze(made);
  harmlessOnes.set(original, made);
  harmlessOnes.set(made, made);
  return made;
}

for (const name of ["call", "apply", "bind", "toString"] as const) {
  functionPrototype[name] = harmless(Function.prototype[name] as AnyFunction);
}
Object.freeze(functionPrototype);

/** What stands in for inherited names: functions are harmless. Who makes the constructor sees to that himself. */
function shadowsOf(...prototypes: object[]): PropertyDescriptorMap {
  const shadows: PropertyDescriptorMap = { ["__proto__"]: { value: undefined } };
  for (const prototype of prototypes) {
    for (const key of Object.getOwnPropertyNames(prototype)) {
      if (key === "constructor") continue;
      const value: unknown = Object.getOwnPropertyDescriptor(prototype, key)?.value;
      if (typeof value === "function" && !Object.hasOwn(shadows, key))
        shadows[key] = { value: harmless(value as AnyFunction) };
    }
  }
  return shadows;
}

/** For who looks into the `prototype` of a constructor: `instanceof`, or whether an object is a plain one. */
const instances = Object.freeze(Object.create(null, shadowsOf(Object.prototype)) as object);

/**
 * A constructor as one that makes nothing and leads nowhere: printers, matchers and loggers read its name. The same one for each
 * constructor.
 */
export function harmlessConstructor(original: AnyFunction): AnyFunction {
  let made = harmlessOnes.get(original);
  if (made) return made;
  made = { run: (): undefined => undefined }.run;
  Object.defineProperties(made, { name: { value: original.name }, prototype: { value: instances } });
  Object.setPrototypeOf(made, functionPrototype);
  Object.freeze(made);
  harmlessOnes.set(original, made);
  return made;
}

const datePrototype = Object.create(Date.prototype, {
  ...shadowsOf(Date.prototype, Object.prototype),
  constructor: { value: harmlessConstructor(Date) },
}) as object;
Object.freeze(datePrototype);

/** A date whose inherited names lead nowhere, either: each session's cookie has one. It is the same object. */
export function harmlessDate(date: object): object {
  // One that is frozen stays as it is.
  if (Object.getPrototypeOf(date) === Date.prototype) Reflect.setPrototypeOf(date, datePrototype);
  return date;
}
