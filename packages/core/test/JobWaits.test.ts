import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import type * as JobStore from "@fanout/core/JobStore"
import type { Source } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

class SendFailed extends Schema.TaggedError<SendFailed>("test/SendFailed")("SendFailed", { code: Schema.String }) {}

const Send = Task.make("test/Send", { payload: { n: Schema.Int }, error: SendFailed })

const Sending = Job.make("test/Sending", { payload: Schema.Int })

const Other = Job.make("test/Other", {})

/** A network that is up or down. */
class World {
  isUp = true
  /** After so many sent elements the network goes down. */
  downAfter = Number.POSITIVE_INFINITY
  /** Where the source finds the network down. */
  listsUpTo = Number.POSITIVE_INFINITY
  readonly sent: Array<number> = []
  readonly opened: Array<string> = []
  /** Times of looks, in seconds. */
  readonly looks: Array<number> = []
  look: Effect.Effect<boolean> = Effect.sync(() => this.isUp)

  /** Elements that fail although the network is up. */
  readonly odd = new Set<number>()

  private get source(): Source<{ readonly n: number }, SendFailed> {
    return (after) => {
      const first = Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 })
      this.opened.push(Option.getOrElse(after, () => "start"))
      return Stream.range(first, 9).pipe(
        Stream.mapEffect((n) =>
          n < this.listsUpTo || this.isUp ? Effect.succeed(n) : Effect.fail(new SendFailed({ code: "ECONNRESET" }))
        ),
        Stream.map((n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n } })),
        Stream.rechunk(1)
      )
    }
  }

  readonly programs = (schedule: Schedule.Schedule<unknown> = Schedule.spaced("10 seconds")) =>
    Sending.toLayer(
      () =>
        TaskDispatcher.TaskDispatcher.use((_) =>
          _.fanOut("all", Send, this.source, {
            concurrency: 1,
            pauseOn: ({ code }) => code === "ECONNRESET" ? { by: "network", message: "the network is down" } : undefined
          })
        ).pipe(Effect.orDie, Effect.asVoid),
      {
        waits: {
          network: {
            schedule,
            until: () =>
              Effect.flatMap(Effect.clockWith((clock) => clock.currentTimeMillis), (now) => {
                this.looks.push(Math.floor(now / 1000))
                return this.look
              })
          }
        }
      }
    ).pipe(Layer.provide(
      RpcGroup.make(Send).toLayer({
        "test/Send": ({ n }) =>
          Effect.suspend(() => {
            if (this.sent.length >= this.downAfter) this.isUp = false
            if (!this.isUp) return Effect.fail(new SendFailed({ code: "ECONNRESET" }))
            if (this.odd.has(n)) return Effect.fail(new SendFailed({ code: "EODD" }))
            this.sent.push(n)
            return Effect.void
          })
      })
    ))
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n)

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

const tagOf = ({ jobs }: Process, id: JobId) => Effect.map(jobs.get(id), ({ state }) => state._tag)

/** The state of a job, and the seconds until it looks again. */
const waitOf = Effect.fnUntraced(function*({ jobs }: Process, id: JobId) {
  const { availableAt, state } = yield* jobs.get(id)
  return "waits" in state && state.waits !== undefined
    ? [state._tag, state.waits.by, state.waits.looks, Math.floor(availableAt / 1000)]
    : [state._tag]
})

const linesOf = ({ jobs }: Process, id: JobId) =>
  Effect.map(Stream.runCollect(jobs.logs(id)), (lines) => lines.map(({ message }) => message))

const options = { leaseTtl: 2000, shutdownDeadline: 0 } as const

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a pause that ends by itself (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    /** A job that waits, since the network went down after four elements. */
    const waiting = Effect.fnUntraced(function*(world: World, schedule?: Schedule.Schedule<unknown>) {
      world.downAfter = 4
      const one = yield* process([Sending], world.programs(schedule), options)
      const { id } = yield* one.jobs.start(Sending, 1)
      yield* pass(1000)
      world.downAfter = Number.POSITIVE_INFINITY
      return { one, id }
    })

    test("lets the job look on its schedule, and go on where it was", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 0, 10])
        yield* pass(10_000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 1, 20])
        yield* pass(10_000)
        assert.deepStrictEqual([world.looks, world.sent], [[10, 20], numbers(0, 3)])

        world.isUp = true
        yield* pass(10_000)

        const { ownersLost, state } = yield* one.jobs.get(id)
        assert.deepStrictEqual([state, ownersLost], [{ _tag: "Completed", attempt: 1, tries: 0 }, 0])
        assert.deepStrictEqual(world.looks, [10, 20, 30])
        assert.deepStrictEqual(world.sent, numbers(0, 9))
        const lines = yield* linesOf(one, id)
        assert.deepStrictEqual(lines.filter((line) => /network/.test(line)), [
          "the network is down",
          "Paused by network, looks again in 10 s",
          "Paused by network, looks again in 10 s",
          "Paused by network, looks again in 10 s"
        ])
      }))

    test("comes of an error of the source as well, which is opened again behind what was taken", () =>
      Effect.gen(function*() {
        const world = new World()
        world.listsUpTo = 6
        const one = yield* process([Sending], world.programs(), options)
        world.isUp = false
        world.look = Effect.sync(() => world.isUp = true)
        // Tasks get through, and the listing does not.
        world.downAfter = -1
        const { id } = yield* one.jobs.start(Sending, 1)
        yield* pass(1000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 0, 10])
        world.downAfter = Number.POSITIVE_INFINITY
        yield* pass(10_000)

        assert.strictEqual(yield* tagOf(one, id), "Completed")
        assert.deepStrictEqual(world.sent, numbers(0, 9))
      }))

    test("also where nothing but the source meets it", () =>
      Effect.gen(function*() {
        const world = new World()
        const listed: Array<number> = []
        const Listing = Job.make("test/Listing", {})
        const source: Source<{ readonly n: number }, SendFailed> = (after) =>
          Option.isNone(after) || world.isUp
            ? Stream.concat(
              Stream.fromIterable(numbers(Option.isNone(after) ? 0 : Number(after.value) + 1, 4)).pipe(
                Stream.map((n) => ({ _tag: "Item" as const, cursor: String(n), payload: { n } }))
              ),
              world.isUp ? Stream.empty : Stream.fail(new SendFailed({ code: "ECONNRESET" }))
            )
            : Stream.die("opened while the network is down")
        const one = yield* process(
          [Listing],
          Listing.toLayer(() =>
            TaskDispatcher.TaskDispatcher.use((_) =>
              _.fanOut("all", Send, source, { pauseOn: () => ({ by: "network", message: "the network is down" }) })
            ).pipe(Effect.orDie, Effect.asVoid), {
            waits: {
              network: {
                schedule: Schedule.spaced("10 seconds"),
                until: () =>
                  Effect.sync(() => world.isUp)
              }
            }
          }).pipe(
            Layer.provide(
              RpcGroup.make(Send).toLayer({
                "test/Send": ({ n }) =>
                  Effect.sync(() => void listed.push(n))
              })
            )
          ),
          options
        )
        world.isUp = false
        const { id } = yield* one.jobs.start(Listing, undefined)
        yield* pass(1000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 0, 10])

        world.isUp = true
        yield* pass(10_000)
        assert.deepStrictEqual([yield* tagOf(one, id), listed], ["Completed", numbers(0, 4)])
      }))

    test("is taken up by another process, also where one is killed as it looks", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        yield* one.kill
        world.look = Effect.never
        const two = yield* process([Sending], world.programs(), options)
        yield* pass(10_000)
        assert.deepStrictEqual(yield* waitOf(two, id), ["Running", "network", 0, 10])
        yield* two.kill
        world.look = Effect.succeed(true)
        world.isUp = true
        const three = yield* process([Sending], world.programs(), options)
        yield* pass(5000)

        assert.strictEqual(yield* tagOf(three, id), "Completed")
        assert.deepStrictEqual(world.sent, numbers(0, 9))
      }))

    test("waits for somebody once its schedule is over", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world, Schedule.spaced("10 seconds").pipe(Schedule.upTo({ times: 2 })))
        yield* pass(60_000)
        assert.deepStrictEqual(world.looks, [10, 20])
        assert.deepInclude((yield* one.jobs.get(id)).state, { _tag: "Paused", by: "network" })

        world.isUp = true
        yield* one.jobs.resume(id)
        yield* pass(1000)
        assert.strictEqual(yield* tagOf(one, id), "Completed")
      }))

    test("ends at once where somebody resumes the job", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        world.isUp = true
        yield* one.jobs.resume(id)
        yield* pass(1000)

        assert.deepStrictEqual([yield* tagOf(one, id), world.looks], ["Completed", []])
      }))

    test("ends after a look during which somebody resumes the job, whatever the look finds", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        world.look = Effect.delay(Effect.succeed(false), 30_000)
        yield* pass(10_000)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 2), ["Running", "network"])
        world.isUp = true
        yield* one.jobs.resume(id)
        yield* pass(31_000)
        assert.deepStrictEqual([yield* tagOf(one, id), world.looks], ["Completed", [10]])
        assert.includeMembers(yield* linesOf(one, id), ["Resumed", "Resumed, and waits no longer"])
      }))

    test("gives way to a pause and to a cancel", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        yield* one.jobs.pause(id)
        yield* pass(60_000)
        assert.deepStrictEqual([(yield* one.jobs.get(id)).state, world.looks], [
          { _tag: "Paused", by: "person", attempt: 1, tries: 0 },
          []
        ])
        yield* one.jobs.resume(id)
        yield* pass(1000)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 3), ["Queued", "network", 0])
        yield* Effect.forkChild(one.jobs.cancel(id))
        yield* pass(1000)
        assert.strictEqual(yield* tagOf(one, id), "Cancelled")
      }))

    test("is not ended by a resume where the job was asked to cancel as it looked", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        world.look = Effect.never
        yield* pass(10_000)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 2), ["Running", "network"])
        yield* one.kill
        const stranger = yield* process([], Layer.empty, options)
        yield* Effect.forkChild(stranger.jobs.cancel(id))
        yield* pass(5000)
        // A process that looks for nothing, and cleans up after nothing.
        const other = yield* process([Other], Other.toLayer(() => Effect.void), { ...options, claim: "all" })
        yield* pass(5000)
        assert.match(String(yield* Effect.flip(other.jobs.resume(id))), /it is about to be cancelled/)
        yield* process([Sending], world.programs(), options)
        yield* pass(5000)
        assert.strictEqual(yield* tagOf(stranger, id), "Cancelled")
      }))

    test("stands a look that dies, and one that never ends", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world)
        world.look = Effect.die(new Error("odd"))
        yield* pass(10_000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 1, 20])
        world.look = Effect.never
        yield* pass(10_000)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 3), ["Running", "network", 1])
        yield* pass(61_000)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 3), ["Queued", "network", 2])
        yield* pass(10_000)
        assert.strictEqual(yield* tagOf(one, id), "Running")
        yield* one.jobs.pause(id)
        yield* pass(5000)
        assert.deepInclude((yield* one.jobs.get(id)).state, { _tag: "Paused", by: "person" })
      }))

    test("goes on with its schedule where the job got nowhere, and begins anew where it did", () =>
      Effect.gen(function*() {
        const world = new World()
        const { id, one } = yield* waiting(world, Schedule.exponential("10 seconds"))
        world.look = Effect.succeed(true)
        // The server answers, and refuses what the tasks ask.
        yield* pass(10_000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 1, 30])
        world.isUp = true
        world.downAfter = 6
        yield* pass(20_000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 0, 40])
        assert.deepStrictEqual(world.sent, numbers(0, 5))
      }))

    test("begins anew where the job got further with what had failed", () =>
      Effect.gen(function*() {
        const world = new World()
        for (const n of [2, 5, 7]) world.odd.add(n)
        const one = yield* process([Sending], world.programs(Schedule.exponential("10 seconds")), options)
        const { id } = yield* one.jobs.start(Sending, 1)
        yield* pass(1000)
        assert.strictEqual(yield* tagOf(one, id), "CompletedWithErrors")
        world.odd.clear()
        world.isUp = false
        yield* one.jobs.retry(id)
        yield* pass(1000)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 3), ["Queued", "network", 0])
        world.isUp = true
        world.downAfter = world.sent.length + 1
        yield* pass(11_000)
        assert.lengthOf(world.sent, 8)
        assert.deepStrictEqual((yield* waitOf(one, id)).slice(0, 3), ["Queued", "network", 0])
      }))

    test("is over by the deadline of the job", () =>
      Effect.gen(function*() {
        const world = new World()
        world.downAfter = 4
        const one = yield* process([Sending], world.programs(Schedule.spaced("1 hour")), options)
        const { id } = yield* one.jobs.start(Sending, 1, { deadline: 60_000 })
        yield* pass(1000)
        assert.deepStrictEqual(yield* waitOf(one, id), ["Queued", "network", 0, 60])
        yield* pass(60_000)
        assert.strictEqual(yield* tagOf(one, id), "Failed")
        assert.deepStrictEqual(world.looks, [])
      }))

    test("is for the names that the program gives", () =>
      Effect.gen(function*() {
        const Named = Job.make("test/Named", { payload: Schema.String })
        const one = yield* process(
          [Named],
          Named.toLayer((by) => Effect.flatMap(JobContext, ({ pause }) => pause(by, "it is gone")), {
            waits: { device: { schedule: Schedule.spaced("10 seconds"), until: (by) => Effect.succeed(by === "") } }
          })
        )
        const disk = yield* one.jobs.start(Named, "disk")
        const device = yield* one.jobs.start(Named, "device")
        yield* pass(25_000)
        assert.deepInclude((yield* one.jobs.get(disk.id)).state, { _tag: "Paused", by: "disk" })
        assert.deepStrictEqual((yield* waitOf(one, device.id)).slice(0, 3), ["Queued", "device", 2])
      }))
  })

onStores(suite)
