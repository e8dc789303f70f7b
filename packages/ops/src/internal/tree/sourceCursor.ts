/**
 * Names an element of a job whose rows are lines, such as hashes, by its number in the order of the source, and by
 * where the source finds it again.
 *
 * What files came to is stored as it ends, in any order. The numbers have no gaps: by them it is put back in order.
 */
import * as Option from "effect/Option"

/** Encodes a cursor. */
export const format = (number: number, place: string): string => `${number.toString(36)} ${place}`

/**
 * Encodes the cursor of what was found only once the element with this number was tried again. It has no number of its
 * own, and its lines come last. `isMany` tells what stands for many apart from the last of these.
 */
export const late = (number: number, place: string, isMany = false): string =>
  `${number.toString(36)}${isMany ? "~~" : "~"} ${place}`

/** Checks whether a cursor is of what was found only once an element was tried again. */
export const isLate = (cursor: string): boolean => cursor.charAt(cursor.indexOf(" ") - 1) === "~"

/** Number of the element that a cursor is of, from 0 on. */
export const numberOf = (cursor: string): number => Number.parseInt(cursor, 36)

/** What the source finds the element by. */
export const placeOf = (cursor: string): string => cursor.slice(cursor.indexOf(" ") + 1)

/** Number of the next element behind a cursor, or of the first one. */
export const nextNumber: (after: Option.Option<string>) => number = Option.match({
  onNone: () => 0,
  onSome: (cursor) => numberOf(cursor) + 1
})
