/**
 * Sums by name, for instance of a unit. A name may be any text, such as "constructor", which is a member of each
 * object that is empty; in a record, any but "__proto__".
 */

/** Adds to the sum of a name. */
export const add = (sums: Map<string, number>, name: string, amount: number): void => {
  sums.set(name, (sums.get(name) ?? 0) + amount)
}

/** Adds up what has the same name. */
export const of = (all: Iterable<Iterable<readonly [name: string, amount: number]>>): Map<string, number> => {
  const sums = new Map<string, number>()
  for (const amounts of all) for (const [name, amount] of amounts) add(sums, name, amount)
  return sums
}

/** Adds to the sum of a name in a record. */
export const addIn = (sums: Record<string, number>, name: string, amount: number): void => {
  sums[name] = (Object.hasOwn(sums, name) ? sums[name] ?? 0 : 0) + amount
}
