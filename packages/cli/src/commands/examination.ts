/**
 * Looks at what `fanout doctor` tells, and says what was found. Nothing is made or changed, except that tables of an
 * older version are brought up to date as they are by any other command.
 */
import * as JobState from "@fanout/core/JobState"
import { type JobRecord, JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerSqlClient } from "@fanout/core/node"
import { OwnerLiveness, seemsDead } from "@fanout/core/OwnerLiveness"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Stop from "../exit/Stop.ts"
import * as Process from "../host/Process.ts"
import { broken, type Check, lacking, ok } from "../machine/Check.ts"
import * as Machine from "../machine/Machine.ts"
import { type Database, whyNotObeyed } from "../options/Database.ts"
import { hasCode } from "../run/JobRuntime.ts"
import * as events from "../ui/events.ts"
import * as format from "../ui/format.ts"
import { wrappedTable } from "../ui/table.ts"

const program = Effect.map(SystemFiles.isNative, (isNative) => [
  ok("Node", `${process.version}, ${process.platform} on ${process.arch}`),
  isNative
    ? ok("system calls", "by descriptor, through the C library")
    : lacking("system calls", "through node:fs: slower, and less is kept of a file (docs/copy.md)")
])

/** Programs that some work needs, and what is done without them. */
const helpers = { ffmpeg: "videos get no thumbnails", pdftoppm: "PDFs get no thumbnails" }

const isExecutable = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.X_OK)
    return true
  } catch {
    return false
  }
}

const programs = Effect.sync(() => {
  const folders = (Process.current().env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "")
  return Object.entries(helpers).map(([what, otherwise]) => {
    const found = folders.map((folder) => path.join(folder, what)).find(isExecutable)
    return found === undefined ? lacking(what, `not found in PATH: ${otherwise}`) : ok(what, found)
  })
})

/** What the machine allows. */
export const ofMachine = ({ cores, descriptors, memoryBytes }: Machine.Machine): ReadonlyArray<Check> => {
  const files = descriptors === undefined ? "as many as the system allows" : `${format.count(descriptors)} at most`
  return [
    ok("processor", format.counted(cores, "core")),
    ok("memory", format.bytes(memoryBytes)),
    descriptors !== undefined && descriptors < 1024
      ? lacking("open files", `${files}, which holds up copies: see \`ulimit -n\``)
      : ok("open files", files)
  ]
}

const places: Readonly<Record<Machine.StorageKind, string>> = {
  memory: "in memory",
  disk: "on a disk",
  rotational: "on a disk with heads that move",
  network: "on another machine",
  userSpace: "answered for by a program"
}

/** What is under a path. */
export const ofStorage = (path: string, found: Machine.Storage | undefined): Check =>
  ok(
    path,
    found === undefined
      ? "what it is on is not known"
      : `${found.type} at ${found.point}, ${places[found.kind]} (${found.source})`
  )

/** What is under a path that was named, behind its links. A mount that is dead never answers. */
const ofPath = Effect.fnUntraced(function*(named: FilePath.FilePath) {
  const real = yield* Effect.tryPromise({
    try: () => fs.promises.realpath(Buffer.from(FilePath.toBytes(named)), "buffer"),
    catch: (error) => String(error).includes("ENOENT") ? "does not exist" : "can't be reached"
  }).pipe(
    Effect.timeoutOrElse({ duration: "3 seconds", orElse: () => Effect.fail("does not answer") }),
    Effect.map(FilePath.fromBytes),
    Effect.result
  )
  const storage = yield* Machine.storageAt(Result.getOrElse(real, () => named))
  const check = ofStorage(FilePath.display(named), Option.getOrUndefined(storage))
  const { found, what } = check
  if (Result.isFailure(real)) return { storage, check: lacking(what, `${real.failure}: ${found}`) }
  return { storage, check: real.success === named ? check : ok(what, `${FilePath.display(real.success)}: ${found}`) }
})

/** A job whose process has ended, and whether this command could run it. */
interface Lost {
  readonly id: string
  readonly hasCode: boolean
}

/** Jobs that are not over, by what they wait for. */
export const ofJobs = (records: ReadonlyArray<JobRecord>, lost: ReadonlyArray<Lost>): ReadonlyArray<Check> => {
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

/** More jobs than that are not looked at. */
const mostJobs = 10_000

const activeJobs = Effect.gen(function*() {
  const store = yield* JobStore
  const liveness = yield* OwnerLiveness
  const records = yield* store.list({ states: ["Queued", "Running", "Paused"], limit: mostJobs })
  const lost: Array<Lost> = []
  const { held } = yield* Effect.flatMap(Clock.currentTimeMillis, store.look)
  for (const { id, lease, name } of held) {
    if (Option.isSome(lease) && (yield* seemsDead(liveness, lease.value.owner))) {
      lost.push({ id, hasCode: yield* hasCode({ name }) })
    }
  }
  return ofJobs(records, lost)
})

/** What SQLite finds wrong with the pages and indexes of the file. */
const complaints: Effect.Effect<ReadonlyArray<string>, SqlError, SqlClient> = SqlClient.use((sql) =>
  Effect.map(
    sql<{ readonly quick_check: string }>`pragma quick_check(10)`,
    (rows) => rows.map(({ quick_check }) => quick_check).filter((line) => line !== "ok")
  )
)

const ofDatabase = (database: Database): Effect.Effect<ReadonlyArray<Check>> => {
  const { filename, server, shown } = database
  const exposed = whyNotObeyed(database)
  if (exposed !== undefined) return Effect.succeed([broken("database", exposed)])
  const isFile = server === undefined
  const size = isFile && filename !== ":memory:" ? fs.statSync(filename, { throwIfNoEntry: false })?.size : undefined
  if (isFile && size === undefined) {
    return Effect.succeed([ok("database", `none yet: the first job makes ${filename}`)])
  }
  const damaged = (found: string): ReadonlyArray<Check> => [broken("database", found)]
  return Effect.gen(function*() {
    const wrong = isFile ? yield* Effect.provide(complaints, layerSqlClient({ filename })) : []
    if (wrong.length > 0) return damaged(`${filename} is damaged: ${wrong.join("; ")}`)
    const { layerStore } = yield* Effect.promise(() => import("../MainLayer.ts"))
    const jobs = yield* Effect.provide(activeJobs, Layer.merge(layerStore(database), layerOwnerLiveness))
    return [
      ok("database", size === undefined ? `${shown}, reached` : `${shown}, ${format.bytes(size)}, whole`),
      ...jobs
    ]
  }).pipe(
    Effect.catchTags({
      JobStoreError: (error: JobStoreError) => Effect.succeed(damaged(Stop.fromStore(shown)(error).sentence)),
      SqlError: (error) => Effect.succeed(damaged(`${shown} can't be read: ${String(error.reason.cause)}`))
    })
  )
}

/** What is found for work on such paths, with this database. */
export const examination = Effect.fnUntraced(function*(database: Database, paths: ReadonlyArray<FilePath.FilePath>) {
  const machine = yield* Machine.read
  const places = yield* Effect.forEach(paths, ofPath)
  const checks = [
    ...yield* program,
    ...yield* programs,
    ...ofMachine(machine),
    ...places.map(({ check }) => check),
    ...yield* ofDatabase(database)
  ]
  return { checks, pools: Machine.poolSizes(machine, places.flatMap(({ storage }) => Option.toArray(storage))) }
})

const marks = { ok: "ok", lacking: "-", broken: "BAD" } as const

/** Row of a table. */
export const row = ({ found, state, what }: Check): ReadonlyArray<string> => [
  marks[state],
  what,
  format.printable(found)
]

const poolRow = ({ bounds, name, size, why }: Machine.PoolSize): ReadonlyArray<string> => [
  name,
  bounds === undefined || bounds.least === bounds.most ? String(size) : `${size} (${bounds.least} to ${bounds.most})`,
  why
]

/** Lines that tell what was found. */
export const linesOf = (
  { checks, pools }: Effect.Success<ReturnType<typeof examination>>,
  json: boolean,
  columns: number
): ReadonlyArray<string> =>
  json
    ? [
      ...checks.map((check) => events.line("check", { ...check })),
      ...pools.map((pool) => events.line("pool", { ...pool }))
    ]
    : [
      ...wrappedTable(["", "WHAT", "FOUND"], checks.map(row), columns),
      "",
      ...wrappedTable(["POOL", "PERMITS", "WHY"], pools.map(poolRow), columns)
    ]
