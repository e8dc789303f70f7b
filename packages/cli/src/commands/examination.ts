/**
 * Looks at what `fanout doctor` tells. Nothing is made or changed, except that tables of an older version are brought
 * up to date as they are by any other command.
 */
import { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { layerOwnerLiveness, layerSqlClient, layerSqlite } from "@fanout/core/node"
import { OwnerLiveness } from "@fanout/core/OwnerLiveness"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as fs from "node:fs"
import * as path from "node:path"
import * as Stop from "../exit/Stop.ts"
import * as Machine from "../machine/Machine.ts"
import * as Storage from "../machine/Storage.ts"
import { hasCode } from "../run/JobRuntime.ts"
import * as doctor from "../ui/examinationText.ts"
import * as format from "../ui/format.ts"

const program = Effect.map(SystemFiles.isNative, (isNative) => [
  doctor.ok("Node", `${process.version}, ${process.platform} on ${process.arch}`),
  isNative
    ? doctor.ok("system calls", "by descriptor, through the C library")
    : doctor.lacking("system calls", "through node:fs: slower, and less is kept of a file (docs/copy.md)")
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
  const folders = (process.env["PATH"] ?? "").split(path.delimiter).filter((folder) => folder !== "")
  return Object.entries(helpers).map(([what, otherwise]) => {
    const found = folders.map((folder) => path.join(folder, what)).find(isExecutable)
    return found === undefined ? doctor.lacking(what, `not found in PATH: ${otherwise}`) : doctor.ok(what, found)
  })
})

/** More jobs than that are not looked at. */
const mostJobs = 10_000

const activeJobs = Effect.gen(function*() {
  const store = yield* JobStore
  const liveness = yield* OwnerLiveness
  const records = yield* store.list({ states: ["Queued", "Running", "Paused"], limit: mostJobs })
  const lost: Array<doctor.Lost> = []
  const { held } = yield* Effect.flatMap(Clock.currentTimeMillis, store.look)
  for (const { id, lease, name } of held) {
    if (Option.isSome(lease) && (yield* liveness.isDead(lease.value.owner))) {
      lost.push({ id, hasCode: yield* hasCode({ name }) })
    }
  }
  return doctor.jobs(records, lost)
})

/** What SQLite finds wrong with the pages and indexes of the file. */
const complaints: Effect.Effect<ReadonlyArray<string>, SqlError, SqlClient> = SqlClient.use((sql) =>
  Effect.map(
    sql<{ readonly quick_check: string }>`pragma quick_check(10)`,
    (rows) => rows.map(({ quick_check }) => quick_check).filter((line) => line !== "ok")
  )
)

const database = (filename: string): Effect.Effect<ReadonlyArray<doctor.Check>> => {
  const size = filename === ":memory:" ? undefined : fs.statSync(filename, { throwIfNoEntry: false })?.size
  if (size === undefined) return Effect.succeed([doctor.ok("database", `none yet: the first job makes ${filename}`)])
  const broken = (found: string): ReadonlyArray<doctor.Check> => [{ what: "database", state: "broken", found }]
  return Effect.gen(function*() {
    const wrong = yield* Effect.provide(complaints, layerSqlClient({ filename }))
    if (wrong.length > 0) return broken(`${filename} is damaged: ${wrong.join("; ")}`)
    const jobs = yield* Effect.provide(activeJobs, Layer.merge(layerSqlite({ filename }), layerOwnerLiveness))
    return [doctor.ok("database", `${filename}, ${format.bytes(size)}, whole`), ...jobs]
  }).pipe(
    Effect.catchTags({
      JobStoreError: (error: JobStoreError) => Effect.succeed(broken(Stop.fromStore(filename)(error).sentence)),
      SqlError: (error) => Effect.succeed(broken(`${filename} can't be read: ${String(error.reason.cause)}`))
    })
  )
}

/** What is found for work on such paths, with this database. */
export const examination = Effect.fnUntraced(function*(filename: string, paths: ReadonlyArray<FilePath.FilePath>) {
  const machine = yield* Machine.read
  const storages = yield* Effect.forEach(paths, Storage.at)
  const checks = [
    ...yield* program,
    ...yield* programs,
    ...doctor.machine(machine),
    ...paths.map((path, index) =>
      doctor.storage(FilePath.display(path), Option.getOrUndefined(storages[index] ?? Option.none()))
    ),
    ...yield* database(filename)
  ]
  return { checks, pools: Machine.poolSizes(machine, storages.flatMap(Option.toArray)) }
})
