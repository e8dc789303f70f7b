/**
 * Makes values of a record of what tags hold, which may be anything.
 */
import { limits, type MediaRecord } from "../../MediaRecord.ts"

type Always = Pick<MediaRecord, "mimeType" | "sizeBytes">

/** Fields of a record that not all files have. */
export type Fields = {
  readonly [K in Exclude<keyof MediaRecord, keyof Always>]?: MediaRecord[K] | undefined
}

/** The fields that have a value. */
export const known = <A extends Fields>(fields: A): { [K in keyof A]: Exclude<A[K], undefined> } =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only what is not there is left out
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never

/** Record of the fields that have a value. */
export const recordOf = (fields: Fields & Always): MediaRecord => known(fields)

/** The first of some values that there is. */
export const first = <A>(...values: ReadonlyArray<A | undefined>): A | undefined =>
  values.find((value) => value !== undefined)

/** Text up to its first zero, without blanks at its ends; nothing where that is all. */
export const text = (value: unknown): string | undefined => {
  if (typeof value === "number" && Number.isFinite(value)) return String(value)
  if (typeof value !== "string") return undefined
  // What is behind a zero fills up the field, and may be what stood there before.
  const [before = ""] = value.slice(0, limits.textLength).split("\0", 1)
  const kept = before.toWellFormed().trim()
  return kept === "" ? undefined : kept
}

/** The first of some values that has text. */
export const firstText = (...values: ReadonlyArray<unknown>): string | undefined => first(...values.map(text))

const recoded = (latin: unknown): unknown => {
  if (Array.isArray(latin)) return latin.map(recoded)
  if (typeof latin === "object" && latin !== null) {
    return Object.fromEntries(Object.entries(latin).map(([name, value]) => [name, recoded(value)]))
  }
  if (typeof latin !== "string" || [...latin].some((character) => character > "\xff")) return latin
  const utf8 = Buffer.from(latin, "latin1").toString("utf8")
  return utf8.includes("\ufffd") ? latin : utf8
}

/** Texts that were read as Latin-1, as UTF-8 where they are: their encoding is told nowhere. */
export const decoded = <A>(latin: A): A =>
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- texts stay texts
  recoded(latin) as A

/** All texts among these and in the lists among them, each once. */
export const texts = (...values: ReadonlyArray<unknown>): ReadonlyArray<string> | undefined => {
  const found = new Set<string>()
  for (const value of values.flatMap((value): ReadonlyArray<unknown> => Array.isArray(value) ? value : [value])) {
    const one = text(value)
    if (one !== undefined && found.size < limits.listLength) found.add(one)
  }
  return found.size === 0 ? undefined : [...found]
}

const single = (value: unknown): unknown =>
  Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value) ? Object.values(value)[0] : value

/** Number between two others; the first of several. */
export const between = (value: unknown, least: number, most: number): number | undefined => {
  const one = single(value)
  const number = typeof one === "string" && /^[+-]?\d+(?:\.\d+)?$/.test(one) ? Number(one) : one
  return typeof number === "number" && number >= least && number <= most ? number : undefined
}

/** Number above 0. Zero is what is written where nothing is known. */
export const positive = (value: unknown): number | undefined => {
  const number = between(value, 0, Number.MAX_VALUE)
  return number === 0 ? undefined : number
}

/** Whole number above 0. */
export const count = (value: unknown): number | undefined => {
  const number = positive(value)
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined
}

/** At most as many problems as anybody reads. */
export const problemsOf = (problems: Iterable<string>): ReadonlyArray<string> | undefined =>
  texts(Array.from(problems, (problem) => problem.slice(0, 200)).slice(0, 8))
