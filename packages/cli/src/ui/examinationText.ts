/**
 * Says what an examination has found. Pure: findings go in, sentences come out.
 */
import * as JobState from "@fanout/core/JobState"
import type { JobRecord } from "@fanout/core/JobStore"
import type * as Machine from "../machine/Machine.ts"
import type * as Storage from "../machine/Storage.ts"
import * as format from "./format.ts"

/** One thing that was looked at. What is lacking costs something; what is broken has to be mended. */
export interface Check {
  readonly what: string
  readonly state: "ok" | "lacking" | "broken"
  readonly found: string
}

/** What is as it should be. */
export const ok = (what: string, found: string): Check => ({ what, state: "ok", found })

/** What would be better otherwise. */
export const lacking = (what: string, found: string): Check => ({ what, state: "lacking", found })

const marks = { ok: "ok", lacking: "-", broken: "BAD" } as const

/** Row of a table. */
export const row = (
  { found, state, what }: Check
): ReadonlyArray<string> => [marks[state], what, format.printable(found)]

/** Row of a table of pools. */
export const pool = ({ bounds, name, size, why }: Machine.PoolSize): ReadonlyArray<string> => [
  name,
  bounds === undefined || bounds.least === bounds.most ? String(size) : `${size} (${bounds.least} to ${bounds.most})`,
  why
]

/** What the machine allows. */
export const machine = ({ cores, descriptors, memoryBytes }: Machine.Machine): ReadonlyArray<Check> => {
  const files = descriptors === undefined ? "as many as the system allows" : `${format.count(descriptors)} at most`
  return [
    ok("processor", format.counted(cores, "core")),
    ok("memory", format.bytes(memoryBytes)),
    descriptors !== undefined && descriptors < 1024
      ? lacking("open files", `${files}, which holds up copies: see \`ulimit -n\``)
      : ok("open files", files)
  ]
}

const places: Readonly<Record<Storage.StorageKind, string>> = {
  memory: "in memory",
  disk: "on a disk",
  rotational: "on a disk with heads that move",
  network: "on another machine",
  userSpace: "answered for by a program"
}

/** What is under a path. */
export const storage = (path: string, found: Storage.Storage | undefined): Check =>
  ok(
    path,
    found === undefined
      ? "what it is on is not known"
      : `${found.type} at ${found.point}, ${places[found.kind]} (${found.source})`
  )

/** A job whose process has ended, and whether this command could run it. */
export interface Lost {
  readonly id: string
  readonly hasCode: boolean
}

/** Jobs that are not over, by what they wait for. */
export const jobs = (records: ReadonlyArray<JobRecord>, lost: ReadonlyArray<Lost>): ReadonlyArray<Check> => {
  const active = records.filter(({ state }) => JobState.isActive(state))
  const byState = Map.groupBy(active, ({ state }) => state._tag.toLowerCase())
  const counts = Array.from(byState, ([state, { length }]) => `${length} ${state}`)
  return [
    ok("jobs", counts.length === 0 ? "none that is not over" : counts.join(", ")),
    ...lost.map(({ hasCode, id }) => {
      const who = hasCode ? `\`fanout jobs resume ${id}\`` : "its own program"
      return lacking("job", `${id} has lost its process: ${who} goes on with it`)
    })
  ]
}
