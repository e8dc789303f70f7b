/**
 * Makes JSON of what parsers give, and not more than a row may have.
 */
import type * as Schema from "effect/Schema"
import { limits } from "../../MediaRecord.ts"

const mostDepth = 8

/** Longer ones are no values, but data. */
const shownBytes = 16

/** Takes values as long as there is room for them. */
class Room {
  private left: number = limits.rawLength

  private takes(length: number): boolean {
    this.left -= length
    return this.left >= 0
  }

  json(value: unknown, depth: number): Schema.Json | undefined {
    if (!this.takes(8) || depth > mostDepth) return undefined
    switch (typeof value) {
      case "string": {
        const kept = value.slice(0, limits.textLength).toWellFormed()
        return this.takes(kept.length) ? kept : undefined
      }
      case "number":
        return Number.isFinite(value) ? value : null
      case "boolean":
        return value
      case "bigint":
        return String(value)
      case "object":
        return value === null ? null : this.object(value, depth)
      default:
        return undefined
    }
  }

  private object(value: object, depth: number): Schema.Json | undefined {
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
    if (value instanceof Uint8Array && value.length > shownBytes) return { bytes: value.length }
    if (value instanceof Map) return this.fields([...value.entries()], depth)
    if (Array.isArray(value) || ArrayBuffer.isView(value)) return this.list(Object.values(value), depth)
    return this.fields(Object.entries(value), depth)
  }

  private list(values: ReadonlyArray<unknown>, depth: number): Schema.Json {
    return values.slice(0, limits.listLength).flatMap((value) => this.json(value, depth + 1) ?? [])
  }

  fields(entries: Iterable<readonly [unknown, unknown]>, depth: number): Schema.JsonObject {
    const kept: Array<readonly [string, Schema.Json]> = []
    for (const [name, value] of entries) {
      const key = String(name).slice(0, 256).toWellFormed()
      const json = this.takes(key.length) ? this.json(value, depth + 1) : undefined
      if (json !== undefined) kept.push([key, json])
    }
    return Object.fromEntries(kept)
  }
}

/** JSON of all values that there is room for; those with nothing in them are left. */
export const rawOf = (values: Readonly<Record<string, unknown>>): Schema.JsonObject =>
  new Room().fields(Object.entries(values).filter(([, value]) => value !== undefined), 0)
