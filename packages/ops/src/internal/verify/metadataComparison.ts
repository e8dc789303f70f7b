/**
 * Compares what file systems know of two files beside their content.
 */
import * as Schema from "effect/Schema"
import type { Property } from "../../Difference.ts"
import type { FileStat } from "../../Files.ts"
import { isSameTime } from "../files/statComparison.ts"

/** Schema for what of it can be left out: `owner` is that of the group, too. */
export const Aspect = Schema.Literals(["mode", "owner", "times"])
export type Aspect = typeof Aspect.Type

/** All of it. */
export const aspects: ReadonlyArray<Aspect> = Aspect.literals

const octal = (mode: number): string => mode.toString(8).padStart(4, "0")

const nanosPerSecond = 1_000_000_000n

// What a `Date` holds. Some file systems keep times far beyond.
const mostSeconds = 8_640_000_000_000n

const instant = (nanos: bigint): string => {
  const within = (nanos % nanosPerSecond + nanosPerSecond) % nanosPerSecond
  const seconds = (nanos - within) / nanosPerSecond
  const micros = (within / 1000n).toString().padStart(6, "0")
  if (seconds > mostSeconds || seconds < -mostSeconds) return `@${seconds}.${micros}`
  return `${new Date(Number(seconds) * 1000).toISOString().slice(0, -5)}.${micros}Z`
}

/**
 * Compares mode, owner, group and time of modification, in this order. A link has a mode that says nothing, and nobody
 * can set when something was read or changed last.
 */
export const compare = (a: FileStat, b: FileStat, ignore: ReadonlyArray<Aspect>): ReadonlyArray<Property> => {
  const properties: Array<Property> = []
  const note = (aspect: Aspect, name: Property["name"], isSame: boolean, write: (stat: FileStat) => string) => {
    if (!isSame && !ignore.includes(aspect)) properties.push({ name, a: write(a), b: write(b) })
  }
  note("mode", "mode", a.mode === b.mode || a.kind === "link", ({ mode }) => octal(mode))
  note("owner", "owner", a.owner === b.owner, ({ owner }) => String(owner))
  note("owner", "group", a.group === b.group, ({ group }) => String(group))
  note("times", "modified", isSameTime(a.modifiedNanos, b.modifiedNanos), (stat) => instant(stat.modifiedNanos))
  return properties
}
