import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as OwnClient from "../src/internal/node/sqliteClient.ts"

class TooLong extends Schema.TaggedError<TooLong>("test/TooLong")("TooLong", { text: Schema.String }) {}

const Item = Task.make("test/Item", { payload: { n: Schema.Number }, error: TooLong, key: ({ n }) => `${n}` })

class Tasks extends RpcGroup.make(Item) {}

const Many = Job.make("test/Many", { success: Schema.Number })

const items = 500

/** Fails all items but the first with long texts, which are kept, and runs that one until nothing is short any more. */
const programs = (short: { readonly now: boolean }) =>
  Many.toLayer(() =>
    TaskDispatcher.use((_) =>
      _.fanOut("items", Item, (after) =>
        Stream.range(Number(Option.getOrElse(after, () => -1)) + 1, items - 1).pipe(
          Stream.map((n) => ({ _tag: "Item", cursor: `${n}`, payload: { n } }))
        ))
    ).pipe(Effect.map(({ failed }) => failed))
  ).pipe(Layer.provide(Tasks.toLayer({
    "test/Item": ({ n }) =>
      n > 0 ? Effect.fail(new TooLong({ text: "x".repeat(4000) })) : Effect.gen(function*() {
        while (short.now) {
          yield* Effect.sleep(20)
          yield* Interrupter.check
        }
      })
  })))

interface Place {
  readonly store: Layer.Layer<JobStore, JobStoreError>
  readonly enlarge: Effect.Effect<void>
}

const connect = (filename: string) =>
  Layer.effect(SqlClient.SqlClient, OwnClient.make({ filename, busyTimeoutMillis: 10, synchronous: "NORMAL" })).pipe(
    Layer.provide(Reactivity.layer),
    Layer.orDie
  )

/** A database that may not grow beyond a few pages. */
const inTinyDatabase: Effect.Effect<Place, never, Scope.Scope> = Effect.map(
  Layer.build(connect(":memory:")),
  (context) => {
    const sql = Context.get(context, SqlClient.SqlClient)
    const limit = (pages: number) =>
      Effect.asVoid(Effect.orDie(sql`pragma max_page_count = ${sql.literal(`${pages}`)}`))
    return {
      store: Layer.effectDiscard(limit(60)).pipe(
        Layer.provideMerge(SqlJobStore.layer),
        Layer.provide(Layer.succeedContext(context))
      ),
      enlarge: limit(100_000)
    }
  }
)

/** A file system that is full soon; where this process may not mount one, the database again. */
const onTinyFileSystem: Effect.Effect<Place, never, Scope.Scope> = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )
  const { status } = yield* Effect.acquireRelease(
    Effect.sync(() => spawnSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", folder])),
    ({ status }) => Effect.sync(() => status === 0 && spawnSync("umount", ["--lazy", folder]))
  )
  if (status !== 0) return yield* inTinyDatabase
  return {
    store: Layer.provide(SqlJobStore.layer, connect(path.join(folder, "jobs.db"))),
    enlarge: Effect.sync(() => spawnSync("mount", ["-o", "remount,size=20m", folder]))
  }
})

describe("JobManager", () => {
  for (const [where, make] of Object.entries({ "file system": onTinyFileSystem, database: inTinyDatabase })) {
    it.live(`ends a run at once that meets a full ${where}, and goes on when there is space`, () =>
      Effect.gen(function*() {
        const place = yield* make
        const short = { now: true }
        const manager = JobManager.layer({ jobs: [Many], leaseTtl: "1 second" }).pipe(
          Layer.provide(programs(short)),
          Layer.provide(Pools.layer()),
          Layer.provide(OwnerLiveness.layerBlind),
          Layer.provide(place.store)
        )
        const jobs = Context.get(yield* Layer.build(manager), JobManager.JobManager)
        const handle = yield* jobs.start(Many, undefined)

        // Its heartbeat is no larger than what it replaces, and goes on.
        const error = yield* Effect.flip(handle.await)

        assert.strictEqual(error._tag, "JobStoreError")
        assert.include(error.message, "no space is left")
        assert.strictEqual((yield* jobs.get(handle.id)).state._tag, "Running")
        short.now = false
        yield* place.enlarge
        const failed = yield* Effect.retry(handle.await, {
          schedule: Schedule.spaced("50 millis"),
          while: ({ _tag }) => _tag === "JobStoreError"
        })
        assert.strictEqual(failed, items - 1)
        assert.strictEqual((yield* jobs.get(handle.id)).ownersLost, 0)
      }))
  }
})
