import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore } from "@fanout/core/JobStore"
import { layerSqlClient, layerSqlite } from "@fanout/core/node"
import { layerBlind } from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Hash from "@fanout/ops/Hash"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as HashCache from "../src/internal/hash/hashCache.ts"
import * as SqlHashCache from "../src/internal/hash/sqlHashCache.ts"
import { hashCacheContract } from "./hashCacheContract.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

hashCacheContract(
  "SQLite",
  it,
  Layer.provide(SqlHashCache.layer, Layer.fresh(layerSqlClient({ filename: ":memory:" })))
)

const entry = { algorithm: "blake3", file: "f", state: "s", digest: "d" } as const

const temporaryFile = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-cache-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  ),
  (folder) => path.join(folder, "jobs.db")
)

describe("SqlHashCache", () => {
  it.effect("finds from another connection what was committed, and nothing else", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      const client = layerSqlClient({ filename })
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient
        const { recording, remember } = yield* Effect.provide(HashCache.HashCache, SqlHashCache.layer)
        const threads = yield* Layer.build(SqlHashCache.layerLookup(Layer.fresh(client)))
        const { find } = yield* Effect.provide(HashCache.HashCache, threads)
        yield* recording(Effect.void)
        yield* sql.withTransaction(Effect.andThen(remember([entry]), Effect.fail("undone"))).pipe(Effect.flip)
        assert.deepStrictEqual(yield* find("blake3", entry), Option.none())
        yield* remember([entry])
        assert.deepStrictEqual(yield* find("blake3", entry), Option.some({ digest: "d", usedAt: 0 }))
      }).pipe(Effect.provide(client))
    }))

  it.effect("finds nothing where there is no database", () =>
    Effect.gen(function*() {
      const lookup = SqlHashCache.layerLookup(layerSqlClient({ filename: "/dev/null/jobs.db" }))
      const found = yield* Effect.flatMap(HashCache.HashCache, (cache) => cache.find("blake3", entry)).pipe(
        Effect.provide(lookup)
      )
      assert.deepStrictEqual(found, Option.none())
    }))

  it.effect("opens the database when the first digest is looked for", () =>
    Effect.gen(function*() {
      const filename = yield* temporaryFile
      yield* Effect.gen(function*() {
        const cache = yield* HashCache.HashCache
        assert.isFalse(fs.existsSync(filename))
        yield* cache.find("blake3", entry)
        assert.isTrue(fs.existsSync(filename))
      }).pipe(Effect.provide(SqlHashCache.layerLookup(layerSqlClient({ filename }))))
    }))

  /** Hashes three files by a job whose store and cache are in one database. */
  const hashThree = Effect.fnUntraced(function*(
    filename: string,
    change: (cache: HashCache.HashCache) => HashCache.HashCache = (cache) => cache
  ) {
    // The job's program knows no client of the database but the cache's.
    const cache = Layer.effect(HashCache.HashCache, Effect.map(HashCache.HashCache, change)).pipe(
      Layer.provide(SqlHashCache.layer),
      Layer.provide(layerSqlClient({ filename }))
    )
    const disk = new MemoryFiles.Disk()
    disk.folder("/in")
    for (const name of ["a", "b", "c"]) disk.file(`/in/${name}`, name)
    const runtime = JobManager.layer({ jobs: [Hash.job], shutdownDeadline: 0 }).pipe(
      Layer.provide(
        Hash.layer.pipe(
          Layer.provide(Pools.layer()),
          Layer.provide([MemoryFiles.layer(disk), cache])
        )
      ),
      Layer.provideMerge(Layer.fresh(layerSqlite({ filename }))),
      Layer.provide([Pools.layer(), Layer.fresh(layerBlind)])
    )
    return yield* Effect.gen(function*() {
      const manager = yield* JobManager.JobManager
      const store = yield* JobStore
      const { id } = yield* manager.start(Hash.job, {
        sources: [FilePath.make("/in")],
        algorithm: "blake3",
        leaveOut: [],
        cache: true
      })
      yield* settle
      yield* TestClock.adjust("10 seconds")
      const { state } = yield* manager.get(id)
      const [row] = yield* SqlClient.use((sql) => sql`select count(*) as rows from fanout_hashes`).pipe(
        Effect.provide(Layer.fresh(layerSqlClient({ filename })))
      )
      const { units } = yield* manager.progress(id)
      const recorded = (yield* store.outcomes(id, { after: 0, limit: 10 })).length
      return [state._tag, recorded, row?.["rows"], units["cached"] ?? 0]
    }).pipe(Effect.provide(runtime))
  })

  it.effect("remembers in the transaction that records, or not at all", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(9_000_000_060_000)
      const filename = yield* temporaryFile
      const failing = yield* hashThree(filename, (cache) => ({
        ...cache,
        remember: (entries) => Effect.andThen(cache.remember(entries), Effect.die("too late"))
      }))
      assert.deepStrictEqual(failing, ["Failed", 0, 0, 0])
      assert.deepStrictEqual(yield* hashThree(filename), ["Completed", 1, 3, 0])
      assert.deepStrictEqual(yield* hashThree(filename), ["Completed", 1, 3, 3])
    }))
})
