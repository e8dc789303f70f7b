import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"

const Quick = Job.make("test/Quick", { success: Schema.Number })

/** Gives the time at which it runs. */
const quick = Quick.toLayer(() => Clock.currentTimeMillis)

const Patient = Job.make("test/Patient", { success: Schema.Void })
const patient = Patient.toLayer(() => Effect.forever(Effect.andThen(Effect.sleep(10), Interrupter.check)))

type Telling = Queue.Queue<void, JobStoreError>

const lost = new JobStoreError({
  reason: new StorageFailure({ operation: "hear", problem: "Unreachable", cause: new Error("gone") })
})

/** A store that tells of what the test wants it to, and of nothing else. */
class World {
  looks = 0
  gets = 0
  /** Whether the store can tell again. */
  isWell = true
  readonly listeners: Array<Telling> = []
  readonly warnings: Array<unknown> = []

  readonly tell = Effect.suspend(() =>
    Effect.forEach(this.listeners, (queue) => Queue.offer(queue, undefined), { discard: true })
  )

  readonly store = Layer.effect(
    JobStore.JobStore,
    Effect.map(JobStore.JobStore, (store) => ({
      ...store,
      get: (id) => Effect.suspend(() => (this.gets++, store.get(id))),
      look: (now) => Effect.suspend(() => (this.looks++, store.look(now))),
      changes: Stream.unwrap(Effect.gen({ self: this }, function*() {
        if (!this.isWell) return Stream.fail(lost)
        const queue = yield* Queue.unbounded<void, JobStoreError>()
        this.listeners.push(queue)
        const told = Stream.fromEffectRepeat(Effect.asVoid(Queue.takeAll(queue)))
        return Stream.concat(Stream.succeed(undefined), told)
      }))
    }))
  ).pipe(Layer.provide(Layer.fresh(MemoryJobStore.layer)))

  /** How often managers look while something happens. */
  looksDuring<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<number, E, R> {
    return Effect.suspend(() => {
      const before = this.looks
      return Effect.map(effect, () => this.looks - before)
    })
  }

  readonly run = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provide(this.store),
      Effect.provide(Logger.layer([
        Logger.make<unknown, void>(({ logLevel, message }) => {
          if (logLevel === "Warn") this.warnings.push(message)
        })
      ]))
    )
}

const client = process([], Layer.empty, { claim: "none" })

/** A job that runs for six seconds by now, and the client that has started it. */
const started = Effect.gen(function*() {
  yield* process([Patient], patient)
  const other = yield* client
  const job = yield* other.jobs.start(Patient, undefined)
  yield* TestClock.adjust(6_000)
  return { job, other }
})

describe("JobManager on a store that tells of changes", () => {
  it.effect("looks seldom while nothing is told, and at once when something is", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      yield* process([Quick], quick)
      const other = yield* client
      yield* TestClock.adjust(1_000)

      assert.isAtMost(yield* world.looksDuring(TestClock.adjust(60_000)), 13)

      const before = yield* Clock.currentTimeMillis
      const job = yield* other.jobs.start(Quick, undefined)
      const waiting = yield* Effect.forkChild(job.await)
      yield* world.tell
      yield* TestClock.adjust(10)
      yield* world.tell
      yield* TestClock.adjust(30)
      assert.isAtMost((yield* Fiber.join(waiting)) - before, 10)
    }))
  })

  it.effect("looks no more often than without, however much is told", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      yield* process([Quick], quick)
      yield* TestClock.adjust(5_000)

      const looks = yield* world.looksDuring(
        Effect.forEach(Array.from({ length: 2_000 }), () => Effect.andThen(world.tell, TestClock.adjust(10)), {
          discard: true
        })
      )

      assert.isAtMost(looks, 5 * 20 + 12)
      assert.isAtLeast(looks, 5 * 20)
      assert.isAtMost(yield* world.looksDuring(TestClock.adjust(5_000)), 3, "nothing is put off for long")
    }))
  })

  it.effect("claims what nobody told of", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      yield* process([Quick], quick)
      const other = yield* client
      yield* TestClock.adjust(1_000)

      const job = yield* other.jobs.start(Quick, undefined)
      const started = yield* Clock.currentTimeMillis
      const waiting = yield* Effect.forkChild(job.await)
      yield* TestClock.adjust(10_100)

      assert.isAtMost((yield* Fiber.join(waiting)) - started, 5_100)
    }))
  })

  it.effect("looks for changes again once the store has lost what told it, warns once, and listens again", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      yield* process([Quick], quick)
      const job = yield* (yield* client).jobs.start(Quick, undefined, { runAt: 600_000 })
      yield* Effect.forkChild(job.await)
      yield* TestClock.adjust(1_000)
      const lose = Effect.suspend(() =>
        Effect.forEach(world.listeners.splice(0), (queue) => Queue.fail(queue, lost), { discard: true })
      )

      world.isWell = false
      const { gets } = world
      assert.isAtLeast(yield* world.looksDuring(Effect.andThen(lose, TestClock.adjust(50))), 1, "at once")
      assert.strictEqual(world.gets - gets, 1, "who waits asks at once, too")
      assert.strictEqual(world.listeners.length, 0)
      assert.strictEqual(world.warnings.length, 2, "one for each manager")

      assert.isAtLeast(yield* world.looksDuring(TestClock.adjust(20_000)), 5 * 20 - 5)
      assert.strictEqual(world.warnings.length, 2, "not for each attempt")
      world.isWell = true
      yield* TestClock.adjust(7_000)
      assert.strictEqual(world.listeners.length, 2)
      assert.isAtMost(yield* world.looksDuring(TestClock.adjust(30_000)), 7)
      for (let loss = 0; loss < 10; loss++) {
        assert.isAtLeast(yield* world.looksDuring(Effect.andThen(lose, TestClock.adjust(150))), 1)
        yield* TestClock.adjust(7_000)
        assert.strictEqual(world.listeners.length, 2, "within some seconds, however often it is lost")
      }
      assert.strictEqual(world.warnings.length, 22)
    }))
  })

  it.effect("runs jobs and schedules at their times", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      const { jobs } = yield* process([Quick], quick)
      yield* TestClock.adjust(1_000)
      const job = yield* jobs.start(Quick, undefined, { runAt: 17_300 })
      yield* jobs.schedule(Quick, undefined, { name: "s", cron: "*/30 * * * * *" })
      yield* TestClock.adjust(2_000)
      assert.isAtMost(yield* world.looksDuring(TestClock.adjust(8_000)), 3, "they are far away")

      yield* TestClock.adjust(20_000)

      assert.isAtMost(Math.abs((yield* job.await) - 17_400), 110)
      const [ticked] = yield* jobs.list()
      assert.isDefined(ticked)
      assert.isAtMost(Math.abs((ticked?.createdAt ?? 0) - 30_100), 110)
    }))
  })

  it.effect("takes a job over when its lease is over, although nobody tells of that", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      const one = yield* process([Patient], patient)
      const job = yield* one.jobs.start(Patient, undefined)
      yield* TestClock.adjust(100)
      const two = yield* process([Patient], patient)
      yield* TestClock.adjust(1_000)
      yield* one.kill

      yield* TestClock.adjust(5_000 + 15_000 + 3_000)

      assert.strictEqual((yield* two.jobs.get(job.id)).token, 2)
    }))
  })

  it.effect("lets a request reach a running job within 250 ms, although nobody tells of it", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      const { job, other } = yield* started
      assert.strictEqual((yield* other.jobs.get(job.id)).state._tag, "Running")

      yield* job.pause
      yield* TestClock.adjust(260)

      assert.strictEqual((yield* other.jobs.get(job.id)).state._tag, "Paused")
    }))
  })

  it.effect("lets a request that is told of reach a running job at once", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      const { job, other } = yield* started

      yield* job.pause
      yield* world.tell
      yield* TestClock.adjust(30)

      assert.strictEqual((yield* other.jobs.get(job.id)).state._tag, "Paused")
    }))
  })

  it.effect("asks for a job that it awaits as seldom", () => {
    const world = new World()
    return world.run(Effect.gen(function*() {
      const other = yield* client
      const job = yield* other.jobs.start(Patient, undefined)
      yield* Effect.forkChild(job.await)
      yield* TestClock.adjust(1_000)

      const before = world.gets
      yield* TestClock.adjust(60_000)

      assert.isAtMost(world.gets - before, 13)
    }))
  })
})
