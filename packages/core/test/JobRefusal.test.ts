import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobStore } from "@fanout/core/JobStore"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

/** Works for so many seconds with a file of this name. */
const Work = Job.make("test/Work", {
  payload: Schema.Struct({ file: Schema.String, seconds: Schema.Number }),
  success: Schema.Void
})

const pass = (seconds: number) => Effect.andThen(TestClock.adjust(seconds * 1000), settle)

/** A store that tells of changes, so that processes look seldom. */
const telling = Layer.effect(
  JobStore,
  Effect.map(JobStore, (store) => ({ ...store, changes: Stream.concat(Stream.succeed(undefined), Stream.never) }))
)

/** Processes, each with the files that it has, and which process has run what. */
const world = Effect.gen(function*() {
  const ran: Array<string> = []
  const join = (name: string, files: ReadonlyArray<string>, concurrency = 4, leaseTtl = 6_000) => {
    const program = Work.toLayer(
      ({ file, seconds }) => {
        ran.push(`${name}: ${file}`)
        const wait = Effect.andThen(Effect.sleep(1000), Interrupter.check)
        return Effect.forEach(Array.from({ length: seconds }), () => wait, { discard: true })
      },
      {
        refuse: Effect.fnUntraced(function*({ file }) {
          if (file === "odd" && name === "a") return yield* Effect.die(new Error("odd"))
          if (file === "slow") yield* Effect.sleep(40_000)
          return files.includes(file) ? Option.none() : Option.some({ by: "storage", why: `${file} is not here` })
        })
      }
    )
    return process([Work], program, { concurrency, leaseTtl })
  }
  const { jobs } = yield* process([], Layer.empty, { claim: "none" })
  const start = (file: string, seconds = 1) => Effect.map(jobs.start(Work, { file, seconds }), ({ id }) => id)
  return { ran, join, jobs, start }
})

const suite = <E>(backend: string, store: Layer.Layer<JobStore, E>) =>
  describe(`a job that a process refuses (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("runs in a process that does not, also in one that comes later", () =>
      Effect.gen(function*() {
        const { jobs, join, ran, start } = yield* world
        yield* join("a", ["of a"])
        yield* join("b", ["of b"])
        yield* pass(1)
        for (const file of ["of a", "of b", "of a", "of b", "of c"]) yield* start(file)
        yield* pass(12)
        assert.sameMembers(ran, ["a: of a", "a: of a", "b: of b", "b: of b"])

        yield* join("c", ["of c"])
        yield* pass(3)
        assert.strictEqual(ran.at(-1), "c: of c")
        assert.deepStrictEqual(yield* jobs.counts, { Completed: 5 })
      }))

    test("is paused once none has taken it, and says why", () =>
      Effect.gen(function*() {
        const { jobs, join, ran, start } = yield* world
        yield* join("a", [])
        yield* join("b", [])
        yield* pass(1)
        const id = yield* start("of c")
        yield* pass(29)
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Queued")
        yield* pass(20)
        assert.deepInclude((yield* jobs.get(id)).state, { _tag: "Paused", by: "storage" })
        const lines = (yield* Stream.runCollect(jobs.logs(id))).map(({ message }) => message)
        assert.lengthOf(lines.filter((line) => /^Process .* leaves it to others: of c is not here$/.test(line)), 2)
        assert.strictEqual(lines.at(-1), "Paused by storage, since no process takes it: of c is not here")
        assert.deepStrictEqual(ran, [])

        yield* jobs.resume(id)
        yield* join("c", ["of c"])
        yield* pass(3)
        assert.deepStrictEqual(ran, ["c: of c"])
      }))

    test("waits for a process that has no free place", () =>
      Effect.gen(function*() {
        const { jobs, join, ran, start } = yield* world
        yield* join("a", [])
        yield* join("b", ["first", "second"], 1)
        yield* pass(1)
        yield* start("first", 120)
        const second = yield* start("second")
        yield* pass(100)
        assert.strictEqual((yield* jobs.get(second)).state._tag, "Queued")
        yield* pass(30)
        assert.deepStrictEqual(ran, ["b: first", "b: second"])
      }))

    test("runs once it is not refused any more, and holds up no other if the question dies", () =>
      Effect.gen(function*() {
        const { jobs, join, ran, start } = yield* world
        const files = ["other"]
        yield* join("a", files)
        yield* start("odd")
        const id = yield* start("late")
        yield* start("other")
        yield* pass(5)
        assert.deepStrictEqual(ran, ["a: other"])
        files.push("late")
        yield* pass(10)
        assert.deepStrictEqual(ran, ["a: other", "a: late"])
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Completed")
      }))

    test("holds up no other while its program is asked", () =>
      Effect.gen(function*() {
        const { jobs, join, ran, start } = yield* world
        yield* join("a", ["slow", "other"])
        for (const file of ["slow", "slow", "other"]) yield* start(file)
        yield* pass(2)
        assert.deepStrictEqual(ran, ["a: other"])
        yield* pass(40)
        assert.deepStrictEqual(ran, ["a: other", "a: slow", "a: slow"])
        assert.deepStrictEqual(yield* jobs.counts, { Completed: 3 })
      }))

    test("is paused as well by a process with a long lease, which looks seldom", () =>
      Effect.gen(function*() {
        const { jobs, join, start } = yield* world
        const id = yield* start("of c")
        yield* join("a", [], 4, 300_000)
        for (let n = 0; n < 45; n++) yield* pass(1)
        assert.deepInclude((yield* jobs.get(id)).state, { _tag: "Paused", by: "storage" })
      }).pipe(Effect.provide(telling)))

    test("is cleaned up after all the same", () =>
      Effect.gen(function*() {
        const { jobs, join, start } = yield* world
        const owner = yield* join("b", ["of b"])
        const id = yield* start("of b", 60)
        yield* pass(5)
        yield* owner.kill
        yield* join("a", [])
        yield* pass(10)
        yield* jobs.cancel(id)
        yield* pass(10)
        assert.strictEqual((yield* jobs.get(id)).state._tag, "Cancelled")
      }))
  })

onStores(suite)
