import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import type * as JobStore from "@fanout/core/JobStore"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

/** Pauses itself, fails, fails later, or runs until it is stopped. */
const Left = Job.make("test/Left", {
  payload: Schema.Literals(["pauses", "dies", "diesLater", "runs"]),
  idempotencyKey: (payload) => payload
})

const left = (onCancel: (id: JobId) => Effect.Effect<void>) =>
  Left.toLayer((payload) =>
    payload === "pauses"
      ? Effect.flatMap(JobContext, ({ pause }) => pause("disk", "it is full"))
      : payload === "dies"
      ? Effect.die(new Error("a bug"))
      : payload === "diesLater"
      ? Effect.andThen(Effect.sleep(150), Effect.die(new Error("a bug")))
      : Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check)), { onCancel: (_, id) => onCancel(id) })

/** Begins and ends of clean-ups, in their order. */
class Watch {
  readonly story: Array<string> = []

  lasting(millis: number) {
    return () =>
      Effect.sync(() => this.story.push("begins")).pipe(
        Effect.andThen(Effect.sleep(millis)),
        Effect.andThen(Effect.sync(() => this.story.push("ends")))
      )
  }
}

const Quick = Job.make("test/Quick", {})
const quick = Quick.toLayer(() => Effect.void)

const Parent = Job.make("test/Parent", {})
const parent = Parent.toLayer(() => Effect.orDie(Effect.asVoid(ChildJobs.run("child", Left, "runs"))))

const jobs = [Left, Quick, Parent] as const

const programs = (onCancel: (id: JobId) => Effect.Effect<void>) => Layer.mergeAll(left(onCancel), quick, parent)

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

const tagOf = ({ jobs }: Process, id: JobId) => Effect.map(jobs.get(id), ({ state }) => state._tag)

const linesOf = ({ jobs }: Process, id: JobId) =>
  Effect.map(Stream.runCollect(jobs.logs(id)), (lines) => lines.map(({ message }) => message))

/** A job that waits for somebody to make room on a disk. */
const paused = Effect.fnUntraced(function*(one: Process) {
  const { id } = yield* one.jobs.start(Left, "pauses")
  yield* pass(1000)
  assert.strictEqual(yield* tagOf(one, id), "Paused")
  return id
})

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a clean-up is durable (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("also where who cancels does not wait for it", () =>
      Effect.gen(function*() {
        const watch = new Watch()
        const one = yield* process(jobs, programs(watch.lasting(1000)))
        const id = yield* paused(one)

        const caller = yield* Effect.forkChild(one.jobs.cancel(id))
        yield* pass(100)
        yield* Fiber.interrupt(caller)
        yield* pass(2000)

        assert.deepStrictEqual(watch.story, ["begins", "ends"])
        assert.strictEqual(yield* tagOf(one, id), "Cancelled")
      }))

    test("also where the program fails before its owner has looked what is asked", () =>
      Effect.gen(function*() {
        const watch = new Watch()
        const one = yield* process(jobs, programs(watch.lasting(1000)))
        const stranger = yield* process([], Layer.empty)
        const { id } = yield* one.jobs.start(Left, "diesLater")
        yield* settle
        assert.strictEqual(yield* tagOf(one, id), "Running")

        yield* pass(140)
        yield* stranger.jobs.cancel(id)
        yield* pass(20)
        assert.deepStrictEqual(watch.story, ["begins"])
        yield* pass(2000)

        assert.deepStrictEqual(watch.story, ["begins", "ends"])
        assert.strictEqual(yield* tagOf(one, id), "Cancelled")
      }))

    for (const end of ["kill", "close"] as const) {
      test(`also where its process ${end === "kill" ? "dies" : "shuts down"} in it`, () =>
        Effect.gen(function*() {
          const [first, second] = [new Watch(), new Watch()]
          const one = yield* process(jobs, programs(first.lasting(60_000)), {
            shutdownDeadline: end === "close" ? "5 seconds" : 0
          })
          const id = yield* paused(one)
          yield* Effect.forkChild(one.jobs.cancel(id))
          yield* pass(100)
          yield* Effect.forkChild(one[end])
          yield* pass(5000)
          const two = yield* process(jobs, programs(second.lasting(1000)))
          assert.notStrictEqual(yield* tagOf(two, id), "Cancelled")
          yield* pass(30_000)

          assert.deepStrictEqual([first.story, second.story], [["begins"], ["begins", "ends"]])
          assert.strictEqual(yield* tagOf(two, id), "Cancelled")
          if (end === "close") assert.include(yield* linesOf(two, id), "Queued again, to be cleaned up after")
        }))
    }

    test("and waits for a process that has its program, while the job stays active", () =>
      Effect.gen(function*() {
        const watch = new Watch()
        const one = yield* process(jobs, programs(() => Effect.void))
        const id = yield* paused(one)
        yield* one.close
        const stranger = yield* process([], Layer.empty)

        yield* stranger.jobs.cancel(id)
        yield* stranger.jobs.cancel(id)
        yield* stranger.jobs.pause(id)
        assert.match(String(yield* Effect.flip(stranger.jobs.resume(id))), /it is about to be cancelled/)
        assert.match(String(yield* Effect.flip(stranger.jobs.retry(id))), /it is about to be cancelled/)
        yield* stranger.jobs.set(id, { priority: 1 })
        assert.strictEqual(yield* stranger.jobs.prune(Number.MAX_SAFE_INTEGER), 0)
        const again = yield* stranger.jobs.start(Left, "pauses")
        assert.deepStrictEqual([again.id, again.started], [id, false])
        yield* pass(60_000)
        const { request, state } = yield* stranger.jobs.get(id)
        assert.deepStrictEqual([state._tag, request], ["Queued", Option.some("Cancel")])

        const two = yield* process(jobs, programs(watch.lasting(100)))
        yield* pass(1000)
        assert.deepStrictEqual(watch.story, ["begins", "ends"])
        assert.strictEqual(yield* tagOf(two, id), "Cancelled")
        assert.match((yield* Effect.flip(again.await)).message, /it was cancelled/)
      }))

    test("and is not needed for a job that has never run", () =>
      Effect.gen(function*() {
        const one = yield* process([], Layer.empty)
        const [queued, waiting] = [yield* one.jobs.start(Quick, undefined), yield* one.jobs.start(Quick, undefined)]
        yield* one.jobs.pause(waiting.id)

        for (const { id } of [queued, waiting]) {
          yield* one.jobs.cancel(id)
          assert.strictEqual(yield* tagOf(one, id), "Cancelled")
        }
      }))

    test("and goes on however often its owners are lost", () =>
      Effect.gen(function*() {
        const one = yield* process(jobs, programs(() => Effect.void))
        const { id } = yield* one.jobs.start(Left, "dies")
        yield* pass(1000)
        yield* one.close
        const stranger = yield* process([], Layer.empty)
        yield* stranger.jobs.cancel(id)
        const options = { leaseTtl: 1000 }
        for (let lost = 0; lost < 6; lost++) {
          const victim = yield* process(jobs, programs(() => Effect.never), options)
          yield* pass(2000)
          yield* victim.kill
        }
        assert.strictEqual(yield* tagOf(stranger, id), "Running")
        const watch = new Watch()
        yield* process(jobs, programs(watch.lasting(100)), options)
        yield* pass(2000)

        assert.include(watch.story, "ends")
        assert.strictEqual(yield* tagOf(stranger, id), "Cancelled")
      }))

    test("and begins where nobody else works on the same", () =>
      Effect.gen(function*() {
        const watch = new Watch()
        let dies = true
        const Once = Job.make("test/Once", { exclusiveKey: () => "k" })
        const one = yield* process(
          [Once],
          Once.toLayer(
            () => dies ? Effect.die("a bug") : Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check)),
            {
              onCancel: watch.lasting(100)
            }
          )
        )
        const failed = yield* one.jobs.start(Once, undefined)
        yield* pass(1000)
        dies = false
        const active = yield* one.jobs.start(Once, undefined)
        yield* pass(1000)

        const refused = yield* Effect.flip(one.jobs.cancel(failed.id))
        assert.strictEqual(refused.reason._tag, "KeyTaken")
        yield* one.jobs.cancel(active.id)
        yield* pass(1000)
        yield* one.jobs.cancel(failed.id)
        yield* pass(1000)
        assert.deepStrictEqual(watch.story, ["begins", "ends", "begins", "ends"])
        assert.strictEqual(yield* tagOf(one, failed.id), "Cancelled")
      }))

    test("and holds back nobody, in one place", () =>
      Effect.gen(function*() {
        const watch = new Watch()
        const one = yield* process(jobs, programs(watch.lasting(60_000)), { concurrency: 1 })
        const id = yield* paused(one)
        const { id: other } = yield* one.jobs.start(Left, "runs")
        yield* pass(1000)
        yield* one.jobs.cancel(id)
        yield* one.jobs.cancel(other)
        yield* pass(1000)
        assert.deepStrictEqual(watch.story, ["begins", "begins"])

        const { id: next } = yield* one.jobs.start(Quick, undefined)
        yield* pass(1000)

        assert.strictEqual(yield* tagOf(one, next), "Completed")
        yield* pass(60_000)
        assert.deepStrictEqual([yield* tagOf(one, id), yield* tagOf(one, other)], ["Cancelled", "Cancelled"])
      }))

    test("and holds back nobody where it is a child's", () =>
      Effect.gen(function*() {
        const watch = new Watch()
        const one = yield* process(jobs, programs(watch.lasting(6000)))
        const family = yield* one.jobs.start(Parent, undefined)
        yield* pass(1000)
        yield* one.jobs.pause(family.id)
        yield* pass(1000)
        yield* Effect.forkChild(one.jobs.cancel(family.id))
        yield* settle
        const { id } = yield* one.jobs.start(Quick, undefined)
        yield* pass(1000)

        assert.strictEqual(yield* tagOf(one, id), "Completed")
        yield* pass(10_000)
        assert.deepStrictEqual(watch.story, ["begins", "ends"])
        const states = (yield* one.jobs.list()).map(({ name, state }) => `${name} ${state._tag}`)
        assert.sameMembers(states, ["test/Left Cancelled", "test/Parent Cancelled", "test/Quick Completed"])
      }))

    test("of 16 jobs at once and no more, also where as many never end", () =>
      Effect.gen(function*() {
        let [cleaning, most] = [0, 0]
        const Many = Job.make("test/Many", { payload: Schema.Int, timeout: "5 seconds" })
        const one = yield* process(
          [Many],
          Many.toLayer(() => Effect.die("a bug"), {
            onCancel: (n) =>
              Effect.acquireUseRelease(
                Effect.sync(() => {
                  most = Math.max(most, ++cleaning)
                }),
                () => n < 16 ? Effect.never : Effect.sleep(100),
                () => Effect.sync(() => cleaning--)
              )
          })
        )
        const ids = yield* Effect.forEach(Array.from({ length: 20 }), (_, n) =>
          Effect.map(one.jobs.start(Many, n), ({ id }) => id))
        yield* pass(2000)
        for (const id of ids) {
          yield* one.jobs.cancel(id)
        }
        yield* pass(2000)
        const isCancelled = (id: JobId) =>
          Effect.map(tagOf(one, id), (tag) => tag === "Cancelled")
        assert.strictEqual((yield* Effect.filter(ids, isCancelled)).length, 0)
        yield* pass(10_000)

        assert.strictEqual((yield* Effect.filter(ids, isCancelled)).length, 20)
        assert.strictEqual(most, 16)
      }))

    const oddities: Record<string, readonly [onCancel: () => Effect.Effect<void>, line: RegExp]> = {
      "that dies": [() => Effect.die(new Error("odd")), /^Cleaning up failed: odd$/],
      "that throws": [() => {
        throw new Error("odd")
      }, /^Cleaning up failed: odd$/],
      "that interrupts itself": [() => Effect.interrupt, /^Cleaning up failed/],
      "that never ends": [() => Effect.never, /^Cleaning up failed: it took longer than 5000 ms$/],
      "that can't be interrupted": [
        () => Effect.uninterruptible(Effect.never),
        /^Cleaning up failed: it took longer than 5000 ms, and is left to itself$/
      ]
    }
    for (const [what, [onCancel, line]] of Object.entries(oddities)) {
      test(`and one ${what} is told, and keeps no job from being cancelled`, () =>
        Effect.gen(function*() {
          const Odd = Job.make("test/Odd", { timeout: "5 seconds" })
          const one = yield* process([Odd], Odd.toLayer(() => Effect.die("a bug"), { onCancel }))
          const { id } = yield* one.jobs.start(Odd, undefined)
          yield* pass(1000)
          yield* Effect.forkChild(one.jobs.cancel(id))
          yield* pass(70_000)

          assert.strictEqual(yield* tagOf(one, id), "Cancelled")
          assert.isTrue((yield* linesOf(one, id)).some((message) => line.test(message)))
        }))
    }
  })

onStores(suite)
