/**
 * Makes JSON of what parsers give, and not more than a row may have.
 */
import type * as Schema from "effect/Schema"
import { limits } from "../../MediaRecord.ts"

const mostDepth = 8

/** Longer ones are no values, but data. */
const shownBytes = 16

/** JSON of all values that there is room for; those with nothing in them are left. */
export const rawOf = (values: Readonly<Record<string, unknown>>): Schema.JsonObject => {
  let left: number = limits.rawLength
  const takes = (length: number): boolean => (left -= length) >= 0

  const jsonOf = (value: unknown, depth: number): Schema.Json | undefined => {
    if (!takes(8) || depth > mostDepth) return undefined
    if (typeof value === "string") {
      const kept = value.slice(0, limits.textLength).toWellFormed()
      return takes(kept.length) ? kept : undefined
    }
    if (typeof value === "number") return Number.isFinite(value) ? value : null
    if (typeof value === "bigint") return String(value)
    if (typeof value === "boolean" || value === null) return value
    if (typeof value !== "object") return undefined
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
    if (value instanceof Uint8Array && value.length > shownBytes) return { bytes: value.length }
    if (Array.isArray(value) || ArrayBuffer.isView(value)) {
      return Object.values(value).slice(0, limits.listLength).flatMap((one) => jsonOf(one, depth + 1) ?? [])
    }
    return objectOf(value instanceof Map ? value : Object.entries(value), depth)
  }

  const objectOf = (entries: Iterable<readonly [unknown, unknown]>, depth: number): Schema.JsonObject => {
    const kept: Array<readonly [string, Schema.Json]> = []
    for (const [name, value] of entries) {
      const key = String(name).slice(0, 256).toWellFormed()
      const json = takes(key.length) ? jsonOf(value, depth + 1) : undefined
      if (json !== undefined) kept.push([key, json])
    }
    return Object.fromEntries(kept)
  }

  return objectOf(Object.entries(values).filter(([, value]) => value !== undefined), 0)
}
