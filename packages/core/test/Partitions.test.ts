import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobManagerError } from "@fanout/core/JobManager"
import type { JobStore } from "@fanout/core/JobStore"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

class Odd extends Schema.TaggedError<Odd>("test/Odd")("Odd", { code: Schema.String }) {}

const Tag = Schema.TaggedUnion({ Small: {}, Large: {} })
const Count = Task.make("test/Count", { payload: Schema.Int, success: Tag, error: Odd })

const Range = Job.make("test/Range", {
  payload: Schema.Struct({ first: Schema.Int, last: Schema.Int }),
  success: Schema.Void
})
const Whole = Job.make("test/Whole", {
  payload: Schema.Struct({ last: Schema.Int, size: Schema.Int }),
  success: Schema.Struct({ tally: Progress.Tally, states: Schema.Record(Schema.String, Schema.Natural) }),
  error: JobManagerError
})

const whole = Whole.toLayer(({ last, size }) =>
  ChildJobs.partitioned("ranges", Range, Source.ranges(1, last, size), { concurrency: 4 })
)

/** Numbers that were counted, in the order of it, and what the next ones do. */
class World {
  readonly counted: Array<number> = []
  millis = 0
  isMended = false
  readonly dies = new Set<number>()

  readonly programs = Layer.mergeAll(
    whole,
    Range.toLayer(({ first, last }) =>
      Effect.suspend(() => {
        if (this.dies.has(first)) return Effect.die(new Error(`${first} died`))
        return Effect.asVoid(
          TaskDispatcher.use(({ fanOut }) => fanOut("numbers", Count, Source.range(first, last), { concurrency: 2 }))
        )
      })
    ).pipe(Layer.provide(
      RpcGroup.make(Count).toLayer({
        "test/Count": Effect.fnUntraced({ self: this }, function*(n) {
          yield* Progress.add("bytes", n)
          if (this.millis > 0) yield* Effect.sleep(this.millis)
          yield* Interrupter.check
          this.counted.push(n)
          if (n % 7 === 0 && !this.isMended) return yield* new Odd({ code: `E${n % 5}` })
          return n > 50 ? Tag.cases.Large.make({}) : Tag.cases.Small.make({})
        })
      })
    ))
  )

  readonly join = Effect.suspend(() => process([Whole, Range], this.programs, { leaseTtl: 6_000 }))
}

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

const tallyOf = (manager: Process["jobs"], id: Parameters<Process["jobs"]["get"]>[0]) =>
  Effect.map(manager.progress(id), ({ tally }) => tally)

/** The tally of the same numbers in one fan-out. */
const inOne = (world: World, last: number) =>
  Effect.gen(function*() {
    const one = yield* world.join
    const job = yield* one.jobs.start(Range, { first: 1, last })
    yield* pass(60_000)
    const tally = yield* tallyOf(one.jobs, job.id)
    yield* one.close
    return tally
  })

const suite = <E>(backend: string, store: Layer.Layer<JobStore, E>) =>
  describe(`a partitioned source (${backend})`, () => {
    const test = <A, E2>(name: string, body: (world: World) => Effect.Effect<A, E2, JobStore | Scope.Scope>) =>
      it.effect(name, () => body(new World()).pipe(Effect.provide(Layer.fresh(store))))

    test("comes to the same as the source in one piece, in all processes", (world) =>
      Effect.gen(function*() {
        const expected = yield* inOne(world, 100)
        assert.deepInclude(expected, { done: 86, failed: 14 })
        const [one] = yield* Effect.replicateEffect(world.join, 3)
        assert.isDefined(one)
        const job = yield* one.jobs.start(Whole, { last: 100, size: 8 })
        yield* pass(10_000)

        const { states, tally } = yield* job.await
        assert.deepStrictEqual(tally, expected)
        assert.deepStrictEqual(states, { CompletedWithErrors: 13 })
        const progress = yield* one.jobs.progress(job.id)
        assert.deepStrictEqual(progress.fanOuts, { ranges: expected })
        assert.deepStrictEqual(progress.units, expected.units)
        assert.strictEqual((yield* one.jobs.get(job.id)).state._tag, "CompletedWithErrors")
      }))

    test("runs what has failed again when its job is retried", (world) =>
      Effect.gen(function*() {
        world.dies.add(9)
        const one = yield* world.join
        const job = yield* one.jobs.start(Whole, { last: 96, size: 8 })
        yield* pass(10_000)
        assert.deepInclude(yield* job.await, { states: { CompletedWithErrors: 11, Failed: 1 } })

        world.dies.clear()
        world.isMended = true
        world.counted.length = 0
        world.millis = 500
        yield* job.retry
        yield* pass(1_300)
        assert.strictEqual((yield* one.jobs.progress(job.id)).items, 88, "it counts anew, and does not show that")
        yield* pass(10_000)

        assert.deepInclude(yield* job.await, { states: { Completed: 12 } })
        assert.deepInclude((yield* job.await).tally, { done: 96, failed: 0 })
        const again = Array.from({ length: 96 }, (_, n) => n + 1).filter((n) => n % 7 === 0 || (n >= 9 && n <= 16))
        assert.sameMembers(world.counted, again)
      }))

    test("goes on after the processes of the parent and of a child have died", (world) =>
      Effect.gen(function*() {
        const expected = yield* inOne(world, 100)
        world.counted.length = 0
        world.millis = 400
        const first = yield* world.join
        const client = yield* process([], Layer.empty, { claim: "none" })
        const job = yield* client.jobs.start(Whole, { last: 100, size: 10 })
        yield* pass(300)
        const second = yield* world.join
        yield* pass(3_000)
        const acked = yield* tallyOf(client.jobs, job.id)
        assert.isAbove(acked.done, 8)

        yield* first.kill
        yield* pass(3_000)
        yield* world.join
        yield* second.kill
        yield* pass(60_000)

        assert.deepStrictEqual((yield* job.await).tally, expected)
        assert.isAtMost(world.counted.length, 100 + 2 * 4 * 2, "what was in hand is counted again")
      }))

    test("shows what its children have come to so far, and never less", (world) =>
      Effect.gen(function*() {
        world.millis = 430
        const client = yield* process([], Layer.empty, { claim: "none" })
        const job = yield* client.jobs.start(Whole, { last: 60, size: 5 })
        const seen: Array<Progress.Progress> = []
        yield* Effect.forkChild(
          Stream.runForEach(job.watch, (event) =>
            Effect.sync(() => {
              if (event._tag === "Progress") seen.push(event.progress)
            }))
        )
        const one = yield* world.join
        yield* pass(2_600)
        assert.isAbove(seen.at(-1)?.tally.done ?? 0, 6)
        const { tally, units } = seen.at(-1) ?? Progress.empty
        assert.isAbove(units["bytes"] ?? 0, tally.units["bytes"] ?? 0, "what is under way is shown, too")
        assert.isAbove(seen.at(-1)?.rates?.["items"] ?? 0, 2)
        yield* one.kill
        yield* world.join
        yield* pass(60_000)

        assert.strictEqual(seen.at(-1)?.items, 60)
        const items = seen.map((progress) => progress.items)
        assert.deepStrictEqual(items, items.toSorted((left, right) => left - right))
      }))

    test("takes at least one child at once, and only items", () =>
      Effect.gen(function*() {
        const Mistaken = Job.make("test/Mistaken", {
          payload: Schema.Number,
          success: Schema.Void,
          error: JobManagerError
        })
        const after: Source.Source<typeof Range.payload.Type> = () =>
          Stream.succeed(Source.closes("a", { first: 1, last: 1 }))
        const program = Mistaken.toLayer((concurrency) =>
          ChildJobs.partitioned("ranges", Range, after, { concurrency })
        )
        const { jobs } = yield* process([Mistaken], program)
        const messages = yield* Effect.forEach([0, 1.5, 1], (concurrency) =>
          Effect.gen(function*() {
            const job = yield* jobs.start(Mistaken, concurrency)
            yield* pass(1_000)
            return (yield* Effect.flip(job.await)).message
          }))

        assert.match(messages[0] ?? "", /at least 1; it was given 0/)
        assert.match(messages[1] ?? "", /at least 1; it was given 1.5/)
        assert.match(messages[2] ?? "", /has to give items, and gave After/)
      }))

    test("pauses, goes on and is cancelled with its job", (world) =>
      Effect.gen(function*() {
        world.millis = 500
        const one = yield* world.join
        const job = yield* one.jobs.start(Whole, { last: 40, size: 5 })
        yield* pass(1_000)
        yield* job.pause
        yield* pass(3_000)
        assert.deepStrictEqual(yield* one.jobs.counts, { Paused: 5 })
        const counted = world.counted.length
        yield* pass(10_000)
        assert.lengthOf(world.counted, counted)

        yield* job.resume
        yield* pass(1_000)
        assert.isAbove(world.counted.length, counted)
        yield* job.cancel
        yield* pass(10_000)

        const ended = world.counted.length
        assert.isBelow(ended, 40)
        assert.strictEqual((yield* one.jobs.get(job.id)).state._tag, "Cancelled")
        assert.deepInclude(yield* one.jobs.counts, { Cancelled: 5 })
        yield* pass(10_000)
        assert.lengthOf(world.counted, ended)
      }))
  })

onStores(suite)

const payloads = <P>(source: Source.Source<P>, after?: string) =>
  Effect.map(
    Stream.runCollect(source(Option.fromUndefinedOr(after))),
    (elements) =>
      elements.map((element) => element._tag === "Item" ? Source.item(element.cursor, element.payload) : assert.fail())
  )

describe("ranges of numbers", () => {
  it.effect("hold each number once, and go on behind each of them", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* payloads(Source.ranges(1, 7, 3)), [
        Source.item("[1,3]", { first: 1, last: 3 }),
        Source.item("[4,6]", { first: 4, last: 6 }),
        Source.item("[7,7]", { first: 7, last: 7 })
      ])
      assert.deepStrictEqual(yield* payloads(Source.ranges(1, 7, 3), "[4,6]"), [
        Source.item("[7,7]", { first: 7, last: 7 })
      ])
      assert.deepStrictEqual(yield* payloads(Source.ranges(1, 7, 3), "[7,7]"), [])
      assert.deepStrictEqual(yield* payloads(Source.ranges(1, 0, 3)), [])
      for (const [first, last, size] of [[1, 2, 0], [1, 2, 1.5], [0.5, 2, 1], [1, Infinity, 1]] as const) {
        const exit = yield* Effect.exit(payloads(Source.ranges(first, last, size)))
        assert.match(String(exit), /of ranges has to be a whole number/)
      }
    }))
})

describe("ranges between keys", () => {
  it.effect("hold each key once, and go on behind each of them", () =>
    Effect.gen(function*() {
      const all = [
        Source.item(`[null,"g"]`, { before: "g" }),
        Source.item(`["g","n"]`, { from: "g", before: "n" }),
        Source.item(`["n",null]`, { from: "n" })
      ]
      assert.deepStrictEqual<unknown>(yield* payloads(Source.between(["g", "n"])), all)
      for (const [index, { cursor }] of all.entries()) {
        assert.deepStrictEqual<unknown>(
          yield* payloads(Source.between(["g", "n"]), cursor),
          all.slice(index + 1)
        )
      }
      assert.deepStrictEqual(yield* payloads(Source.between([])), [Source.item("[null,null]", {})])
      assert.match(String(yield* Effect.exit(payloads(Source.between(["a", "a"])))), /twice/)
    }))
})
