/**
 * Sums by name, for instance of a unit. A name may be any text, such as "constructor", which is a member of each
 * object that is empty; in a record, any but "__proto__".
 */

/** How many names have a sum of their own. A name can have any text, and all sums are stored with each flush. */
const maxNames = 32

/** The sum of all further names. */
export const others = "others"

/** Adds to the sum of a name. */
export const add = (sums: Map<string, number>, name: string, amount: number): void => {
  const sum = sums.get(name)
  if (sum !== undefined || sums.size < maxNames) sums.set(name, (sum ?? 0) + amount)
  else sums.set(others, (sums.get(others) ?? 0) + amount)
}

/** Sets the sum of a name, unless it has none of its own. */
export const put = (sums: Map<string, number>, name: string, sum: number): void => {
  if (sums.has(name) || sums.size < maxNames) sums.set(name, sum)
}

/** Adds up what has the same name. */
export const of = (all: Iterable<Iterable<readonly [name: string, amount: number]>>): Map<string, number> => {
  const sums = new Map<string, number>()
  for (const amounts of all) for (const [name, amount] of amounts) add(sums, name, amount)
  return sums
}

/** Adds to the sum of a name in a record. */
export const addIn = (sums: Record<string, number>, name: string, amount: number): void => {
  const own = Object.hasOwn(sums, name) || Object.keys(sums).length < maxNames ? name : others
  sums[own] = (Object.hasOwn(sums, own) ? sums[own] ?? 0 : 0) + amount
}
