import { assert, describe, it } from "@effect/vitest"
import type * as JobHandle from "@fanout/core/JobHandle"
import * as JobManager from "@fanout/core/JobManager"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as FilePath from "@fanout/ops/FilePath"
import * as Hash from "@fanout/ops/Hash"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Verify from "@fanout/ops/Verify"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tellEnding } from "./tellEnding.ts"
import { testFolder } from "./TestFolder.ts"

const runtime = (files: typeof SystemFiles.layer) =>
  JobManager.layer({ jobs: [Hash.job, Verify.job] }).pipe(
    Layer.provide([
      Hash.layer,
      Verify.layer
    ]),
    Layer.provide(Pools.layer({ io: 8 })),
    Layer.provideMerge([MemoryJobStore.layer, OwnerLiveness.layerBlind, files])
  )

/**
 * Locks that this process has, each with its inode and place. The kernel may tell one twice, where others lock files
 * while it is read.
 */
const locks = () => {
  const lines = fs.readFileSync("/proc/locks", "latin1").split("\n").filter((line) => line.includes(` ${process.pid} `))
  return Array.from(new Set(lines.map((line) => line.replace(/^\d+: /, "")))).toSorted()
}

/** Ends of the names of the database's files. */
const ends = ["", "-wal", "-shm"]

/** Opens a database that has locks on its files, and gives these other names in two trees. */
const locked = Effect.fnUntraced(function*(folder: FilePath.FilePath) {
  const path = FilePath.join(folder, FilePath.make("jobs.db"))
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => new DatabaseSync(path)),
    (database) => Effect.sync(() => database.close())
  )
  database.exec("PRAGMA journal_mode = wal; CREATE TABLE one (value); BEGIN IMMEDIATE; INSERT INTO one VALUES (1)")
  for (const tree of ["a", "b"]) {
    fs.mkdirSync(`${folder}/${tree}`)
    for (const end of ends) {
      fs.linkSync(`${path}${end}`, `${folder}/${tree}/name${end}`)
      if (tree === "a") fs.linkSync(`${path}${end}`, `${folder}/a/other${end}`)
      else fs.writeFileSync(`${folder}/b/other${end}`, "others")
    }
  }
  return ends.map((end) => FilePath.make(`${path}${end}`))
})

const outcomesOf = Effect.fnUntraced(function*({ await: ended, id }: JobHandle.JobHandle<unknown, unknown>) {
  yield* Effect.exit(ended)
  const rows = yield* Stream.runCollect((yield* JobManager.JobManager).outcomes(id))
  return rows.map(({ key, outcome }) => `${FilePath.name(FilePath.make(key))}: ${tellEnding(outcome)}`).toSorted()
})

const expected = ["name", "other"].flatMap((name) =>
  ends.map((end) => `${name}${end}: it belongs to the database of this job`)
).toSorted()

describe.each([
  ["the C library, at once", SystemFiles.layerBlocking],
  ["the C library", SystemFiles.layer],
  ["node:fs", SystemFiles.layerNode]
])("A job through %s", (_, files) => {
  it.live.skipIf(!fs.existsSync("/proc/locks"))(
    "leaves its database the locks on its files",
    () =>
      Effect.gen(function*() {
        const folder = yield* testFolder
        const leaveOut = yield* locked(folder)
        const [a, b] = [FilePath.make(`${folder}/a`), FilePath.make(`${folder}/b`)]
        const { start } = yield* JobManager.JobManager
        const before = locks()
        assert.isNotEmpty(before)
        const hashed = yield* start(Hash.job, { sources: [a], algorithm: "blake3", leaveOut })
        const ofHash = yield* outcomesOf(hashed)
        assert.deepStrictEqual(locks(), before)
        assert.deepStrictEqual(ofHash, expected)
        const compared = yield* start(Verify.job, { a, b, ignore: ["times"], leaveOut })
        const ofVerify = yield* outcomesOf(compared)
        assert.deepStrictEqual(locks(), before)
        assert.deepStrictEqual(ofVerify, expected)
      }).pipe(Effect.provide(runtime(files)), Effect.scoped)
  )
})
