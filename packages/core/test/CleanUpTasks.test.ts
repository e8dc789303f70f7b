import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import type { JobId } from "@fanout/core/JobId"
import type * as JobStore from "@fanout/core/JobStore"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

class UploadFailed extends Schema.TaggedError<UploadFailed>("test/UploadFailed")("UploadFailed", {}) {}

/** A file that is sent in parts. Parts of an upload that nobody completes or aborts stay in the bucket for ever. */
const Upload = Task.make("test/Upload", { payload: { key: Schema.String }, error: UploadFailed })
const Begun = TaskCheckpoint.make(Schema.Struct({ id: Schema.String }))

/** Uploads that were begun, and neither completed nor aborted. */
type Bucket = Set<string>

const uploads = RpcGroup.make(Upload)

/** The first letter of a key tells how its upload ends. */
const handler = (bucket: Bucket, run = "") =>
  uploads.toLayer({
    "test/Upload": Effect.fnUntraced(function*({ key }) {
      if (key.startsWith("waits")) return yield* Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check))
      const id = `upload of ${key}${run}`
      bucket.add(id)
      yield* Begun.commit({ id })
      if (key.startsWith("fails")) return yield* new UploadFailed()
      yield* key.startsWith("done") ? Effect.sleep(10) : Effect.forever(
        Effect.andThen(Effect.sleep(50), Interrupter.check)
      )
      bucket.delete(id)
    })
  })

const Copy = Job.make("test/CopyToBucket", { payload: Schema.Array(Schema.String) })

const source = (keys: ReadonlyArray<string>) =>
  Source.map(Source.range(0, keys.length - 1), (n) => ({ key: keys[n] ?? "" }))

interface Options {
  readonly run?: string
  readonly failFast?: boolean
  readonly told?: Array<readonly [cursor: string, key: string, id: string]>
  readonly between?: Effect.Effect<void>
}

const program = (bucket: Bucket, { between = Effect.void, failFast = false, run = "", told = [] }: Options = {}) =>
  Copy.toLayer(
    (keys) =>
      TaskDispatcher.TaskDispatcher.use((_) =>
        _.fanOut("uploads", Upload, source(keys), { concurrency: 8, failures: failFast ? "failFast" : "collect" })
      ).pipe(Effect.andThen(Effect.never), Effect.orDie, Effect.asVoid),
    {
      onCancel: (_, __, saved) =>
        saved.tasks("uploads", Upload, Begun).pipe(
          Stream.runForEach(({ checkpoint, cursor, payload }) =>
            Effect.sync(() => {
              told.push([cursor, payload.key, checkpoint.id])
              bucket.delete(checkpoint.id)
            }).pipe(Effect.andThen(between))
          ),
          Effect.orDie
        )
    }
  ).pipe(Layer.provide(handler(bucket, run)))

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

const tagOf = ({ jobs }: Process, id: JobId) => Effect.map(jobs.get(id), ({ state }) => state._tag)

/** Shuts a process down, which hands its jobs back. */
const handBack = ({ close }: Process) => Effect.andThen(Effect.forkChild(close), pass(5000))

/** Cancels a job that no process with its program runs. */
const cancelFromAfar = Effect.fnUntraced(function*(id: JobId) {
  const stranger = yield* process([], Layer.empty)
  yield* Effect.forkScoped(stranger.jobs.cancel(id))
  yield* pass(100)
  return stranger
})

const polite = { shutdownDeadline: "5 seconds" } as const

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => `${name} ${n}`)

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a clean-up sees what tasks have saved (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("of all that was begun and is not done", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const told: Required<Options>["told"] = []
        const one = yield* process([Copy], program(bucket, { told }))
        const { id } = yield* one.jobs.start(Copy, ["runs a", "done", "waits", "runs b", "fails"])
        yield* pass(1000)
        assert.strictEqual(bucket.size, 3)

        yield* Effect.forkChild(one.jobs.cancel(id))
        yield* pass(5000)

        assert.strictEqual(yield* tagOf(one, id), "Cancelled")
        assert.deepStrictEqual(told, [
          ["0", "runs a", "upload of runs a"],
          ["3", "runs b", "upload of runs b"],
          ["4", "fails", "upload of fails"]
        ])
        assert.strictEqual(bucket.size, 0)
      }))

    test("by an owner that is killed, and is cancelled while nobody runs it", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const one = yield* process([Copy], program(bucket), { leaseTtl: 1000 })
        const { id } = yield* one.jobs.start(Copy, numbered("runs", 5))
        yield* pass(500)
        yield* one.kill
        const stranger = yield* cancelFromAfar(id)
        yield* pass(5000)
        assert.strictEqual(bucket.size, 5)

        yield* process([Copy], program(bucket), { leaseTtl: 1000 })
        yield* pass(5000)

        assert.strictEqual(yield* tagOf(stranger, id), "Cancelled")
        assert.strictEqual(bucket.size, 0)
      }))

    test("again where the clean-up was killed in the middle", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const first: Required<Options>["told"] = []
        const second: Required<Options>["told"] = []
        const keys = numbered("runs", 6)
        const one = yield* process([Copy], program(bucket, { told: first, between: Effect.sleep(1000) }), {
          leaseTtl: 1000
        })
        const { id } = yield* one.jobs.start(Copy, keys)
        yield* pass(500)
        yield* Effect.forkChild(one.jobs.cancel(id))
        yield* pass(2500)
        yield* one.kill
        assert.isAbove(first.length, 0)
        assert.isBelow(first.length, 6)

        const two = yield* process([Copy], program(bucket, { told: second }), { leaseTtl: 1000 })
        yield* pass(10_000)

        assert.deepStrictEqual(second.map(([, key]) => key), keys)
        assert.strictEqual(yield* tagOf(two, id), "Cancelled")
        assert.strictEqual(bucket.size, 0)
      }))

    test("of failed tasks, page by page", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const told: Required<Options>["told"] = []
        const keys = [...numbered("fails", 250), "runs"]
        const one = yield* process([Copy], program(bucket), polite)
        const { id } = yield* one.jobs.start(Copy, keys)
        yield* pass(2000)
        yield* handBack(one)
        yield* cancelFromAfar(id)
        assert.strictEqual(bucket.size, 251)

        const two = yield* process([Copy], program(bucket, { told }))
        yield* pass(5000)

        assert.strictEqual(yield* tagOf(two, id), "Cancelled")
        assert.strictEqual(told.length, 251)
        assert.deepStrictEqual(told.map(([, key]) => key), ["runs", ...numbered("fails", 250)])
        assert.strictEqual(bucket.size, 0)
      }))

    test("as a retry has saved it last", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const told: Required<Options>["told"] = []
        const one = yield* process([Copy], program(bucket, { failFast: true }))
        const { id } = yield* one.jobs.start(Copy, ["fails"])
        yield* pass(1000)
        assert.strictEqual(yield* tagOf(one, id), "Failed")
        yield* handBack(one)
        bucket.clear()
        const retrying = uploads.toLayer({
          "test/Upload": () =>
            Effect.andThen(
              Begun.commit({ id: "newer" }),
              Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check))
            )
        })
        const again = Copy.toLayer((keys) =>
          TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("uploads", Upload, source(keys))).pipe(
            Effect.orDie,
            Effect.asVoid
          )
        ).pipe(Layer.provide(retrying))
        const two = yield* process([Copy], again, polite)
        yield* two.jobs.retry(id)
        yield* pass(1000)
        yield* handBack(two)
        yield* cancelFromAfar(id)
        const three = yield* process([Copy], program(bucket, { told }))

        yield* pass(5000)

        assert.deepStrictEqual(told, [["0", "fails", "newer"]])
        assert.strictEqual(yield* tagOf(three, id), "Cancelled")
      }))

    test("lifted from the version that stored it", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const one = yield* process([Copy], program(bucket), polite)
        const { id } = yield* one.jobs.start(Copy, ["runs", "fails"])
        yield* pass(1000)
        yield* handBack(one)
        yield* cancelFromAfar(id)
        const Renamed = Task.make("test/UploadTo", { payload: { bucket: Schema.String, key: Schema.String } })
        const Copy2 = Job.make("test/CopyToBucket", {
          version: 2,
          payload: Schema.Array(Schema.String),
          migrations: {
            1: {
              fanOuts: {
                uploads: {
                  name: "sent",
                  cursor: (cursor) => `no. ${cursor}`,
                  payload: (payload) => ({ ...Object(payload), bucket: "mine" })
                }
              }
            }
          }
        })
        const told: Array<unknown> = []
        yield* process(
          [Copy2],
          Copy2.toLayer(() => Effect.void, {
            onCancel: (_, __, saved) =>
              saved.tasks("sent", Renamed, Begun).pipe(
                Stream.runForEach((task) => Effect.sync(() => told.push(task))),
                Effect.orDie
              )
          })
        )

        yield* pass(5000)

        assert.deepStrictEqual(told, [
          { cursor: "no. 0", payload: { bucket: "mine", key: "runs" }, checkpoint: { id: "upload of runs" } },
          { cursor: "no. 1", payload: { bucket: "mine", key: "fails" }, checkpoint: { id: "upload of fails" } }
        ])
      }))

    test("but for what no longer fits its schema", () =>
      Effect.gen(function*() {
        const bucket: Bucket = new Set()
        const one = yield* process([Copy], program(bucket), polite)
        const { id } = yield* one.jobs.start(Copy, ["runs", "fails"])
        yield* pass(1000)
        yield* handBack(one)
        yield* cancelFromAfar(id)
        const Other = TaskCheckpoint.make(Schema.Struct({ upload: Schema.Int }))
        let count = -1
        const two = yield* process(
          [Copy],
          Copy.toLayer(() => Effect.void, {
            onCancel: (_, __, saved) =>
              Effect.map(Effect.orDie(Stream.runCount(saved.tasks("uploads", Upload, Other))), (found) => {
                count = found
              })
          })
        )
        yield* pass(5000)

        assert.strictEqual(count, 0)
        assert.strictEqual(yield* tagOf(two, id), "Cancelled")
      }))
  })

onStores(suite)
