import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Job from "@fanout/core/Job"
import type * as JobId from "@fanout/core/JobId"
import { JobManagerError } from "@fanout/core/JobManager"
import * as JobState from "@fanout/core/JobState"
import type * as JobStore from "@fanout/core/JobStore"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { decodeOrigin } from "../src/internal/fanOut/origin.ts"
import * as Laws from "./FanOutLaws.ts"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

class Bad extends Schema.TaggedError<Bad>("test/Bad")("Bad", { code: Schema.String }) {}

const Visit = Task.make("test/Visit", { payload: { n: Schema.Number }, error: Bad, key: ({ n }) => `item ${n}` })
class Tasks extends RpcGroup.make(Visit) {}

const World = Job.make("test/World", { success: Schema.Void })

/** Two fan-outs of ten elements. Every third element fails: with `odd` or `even`, unless it `isWell`. */
const world = (ran: Array<string>, isWell: (n: number) => boolean, takes: (n: number) => number = () => 0) => {
  const numbers = (first: number) => (after: Option.Option<string>) =>
    Stream.fromIterable(
      Array.from({ length: 10 }, (_, n) => ({ _tag: "Item", cursor: `${n}`, payload: { n: first + n } }) as const)
        .slice(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }))
    )
  return World.toLayer(() =>
    TaskDispatcher.use((_) =>
      Effect.andThen(
        _.fanOut("low", Visit, numbers(0), { concurrency: 1, flushEvery: 1 }),
        _.fanOut("high", Visit, numbers(10), { concurrency: 1, flushEvery: 1 })
      )
    ).pipe(
      Effect.provide(Tasks.toLayer({
        "test/Visit": Effect.fnUntraced(function*({ n }) {
          ran.push(`${n}`)
          yield* Effect.sleep(takes(n))
          if (n % 3 === 0 && !isWell(n)) return yield* new Bad({ code: n % 2 === 0 ? "even" : "odd" })
        })
      })),
      Effect.asVoid
    )
  )
}

/** Numbers and keys of the failed elements of a job. */
const failed = ({ jobs }: Process, id: JobId.JobId) =>
  Effect.map(
    jobs.outcomePage(id, { tags: ["Failed"], after: 0, limit: 100 }),
    (found) => found.map(([seq, { attempt, key }]) => ({ seq, attempt, n: key.replace("item ", "") }))
  )

const numbersOf = (found: Effect.Success<ReturnType<typeof failed>>, ...wanted: ReadonlyArray<number>) =>
  found.filter(({ n }) => wanted.includes(Number(n))).map(({ seq }) => seq)

const refusal = (error: unknown): string =>
  error instanceof JobManagerError ? `${error.reason._tag}: ${error.message}` : String(error)

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`a retry of chosen elements (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    const over = Effect.fnUntraced(function*(
      isWell: (n: number) => boolean = () => false,
      takes: (n: number) => number = () => 0
    ) {
      const ran: Array<string> = []
      const one = yield* process([World], world(ran, isWell, takes))
      const { id } = yield* one.jobs.start(World, undefined)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* one.jobs.get(id)).state._tag, "CompletedWithErrors")
      ran.length = 0
      return { one, id, ran, before: yield* failed(one, id) }
    })

    test("runs these again, and leaves all others as they are", () =>
      Effect.gen(function*() {
        let isWell = false
        const { before, id, one, ran } = yield* over((n) => isWell && n !== 15)
        assert.deepStrictEqual(before.map(({ n }) => n), ["0", "3", "6", "9", "12", "15", "18"])
        isWell = true
        yield* one.jobs.retry(id, { elements: numbersOf(before, 3, 15, 18) })
        yield* TestClock.adjust("2 seconds")

        assert.deepStrictEqual(ran, ["3", "15", "18"])
        assert.strictEqual((yield* one.jobs.get(id)).state._tag, "CompletedWithErrors")
        const after = yield* failed(one, id)
        const [again] = after.slice(-1)
        assert.deepStrictEqual(after.slice(0, -1), before.filter(({ n }) => ["0", "6", "9", "12"].includes(n)))
        assert.deepInclude(again, { n: "15", attempt: 2 })
        const { causes, done, failed: count } = (yield* one.jobs.progress(id)).tally
        assert.deepStrictEqual([done, count, causes], [15, 5, { even: 3, odd: 2 }])

        assert.deepStrictEqual((yield* Stream.runCollect(one.jobs.logs(id))).map(({ message }) => message).slice(-3), [
          "Retried 3 chosen elements",
          "Started again, by owner 2",
          "Completed with errors"
        ])
        // Again, and then all that are left.
        ran.length = 0
        yield* one.jobs.retry(id, { elements: numbersOf(after, 0) })
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(ran, ["0"])
        yield* one.jobs.retry(id)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(ran, ["0", "6", "9", "12", "15"])
        assert.strictEqual((yield* one.jobs.progress(id)).tally.failed, 1)
      }))

    test("can be all of one cause", () =>
      Effect.gen(function*() {
        let isWell = false
        const { id, one, ran } = yield* over((n) => isWell && n !== 9)
        isWell = true
        yield* one.jobs.retry(id, { cause: "odd" })
        yield* TestClock.adjust("2 seconds")

        assert.deepStrictEqual(ran, ["3", "9", "15"])
        assert.deepStrictEqual((yield* one.jobs.progress(id)).tally.causes, { even: 4, odd: 1 })
      }))

    test("goes on in the next process with what the first one has left of them", () =>
      Effect.gen(function*() {
        let isWell = false
        const { before, id, one } = yield* over(() => isWell, (n) => isWell ? 1000 + n : 0)
        isWell = true
        yield* one.jobs.retry(id, { elements: numbersOf(before, 3, 9, 12) })
        yield* TestClock.adjust("1500 millis")
        yield* one.kill
        const ran: Array<string> = []
        const two = yield* process([World], world(ran, () => true))
        yield* TestClock.adjust("20 seconds")

        assert.deepStrictEqual(ran, ["9", "12"])
        assert.deepStrictEqual((yield* failed(two, id)).map(({ n }) => n), ["0", "6", "15", "18"])
        assert.deepStrictEqual(
          (yield* two.jobs.get(id)).state,
          JobState.JobState.cases.CompletedWithErrors.make({ attempt: 2, tries: 0 })
        )
      }))

    test("is refused for what has not failed, and names it", () =>
      Effect.gen(function*() {
        const { before, id, one } = yield* over()
        const retry = (only: JobState.Choice) => Effect.map(Effect.flip(one.jobs.retry(id, only)), refusal)
        const known = numbersOf(before, 3)

        assert.strictEqual(
          yield* retry({ elements: [...known, 4711, 4712] }),
          `ChoiceRefused: Job ${id} is not retried: it has no failed elements that can run again with the numbers: ` +
            "4711, 4712"
        )
        const many = Array.from({ length: 13 }, (_, n) => 5000 + n)
        assert.match(yield* retry({ elements: many }), /: 5000, .*5009 and 3 more$/)
        assert.include(yield* retry({ elements: [] }), "0 elements are chosen, and it can be 1 to 1000")
        const tooMany = Array.from({ length: 1001 }, (_, n) => n)
        assert.include(yield* retry({ elements: tooMany }), "1001 elements are chosen")
        assert.include(yield* retry({ cause: "late" }), "no element failed with the cause \"late\"")
        const { revision, state } = yield* one.jobs.get(id)
        assert.deepInclude(state, { _tag: "CompletedWithErrors", attempt: 1 })

        yield* one.jobs.retry(id, { elements: known })
        assert.match(yield* retry({ elements: known }), /^NotAllowed: .* is (Queued|Running): it can't be retried$/)
        yield* TestClock.adjust("2 seconds")
        assert.isAbove((yield* one.jobs.get(id)).revision, revision)
        // The row of the element is another one now.
        assert.include(yield* retry({ elements: known }), `with the numbers: ${known[0]}`)
      }))

    test("leaves the failed elements of children failed", () =>
      Effect.gen(function*() {
        const Parent = Job.make("test/Parent", { error: Bad })
        const ran: Array<string> = []
        let isWell = false
        const program = Effect.gen(function*() {
          yield* Effect.orDie(ChildJobs.run("child", World, undefined))
          yield* TaskDispatcher.use((_) =>
            _.fanOut("own", Visit, (after) =>
              Option.isSome(after) ? Stream.empty : Stream.make({ _tag: "Item", cursor: "0", payload: { n: 100 } }))
          ).pipe(
            Effect.provide(Tasks.toLayer({
              "test/Visit": ({ n }) =>
                Effect.andThen(
                  Effect.sync(() =>
                    ran.push(`own ${n}`)
                  ),
                  isWell ? Effect.void : Effect.fail(new Bad({ code: "own" }))
                )
            }))
          )
        }).pipe(Effect.catchTag("Interrupted", () =>
          Effect.interrupt))
        const one = yield* process(
          [Parent, World],
          Layer.merge(Parent.toLayer(() => Effect.orDie(program)), world(ran, () => isWell))
        )
        const { id } = yield* one.jobs.start(Parent, undefined)
        yield* TestClock.adjust("5 seconds")
        const [child] = yield* one.jobs.list({ parent: id })
        if (child === undefined) return assert.fail("there is no child")
        assert.strictEqual(child.state._tag, "CompletedWithErrors")
        ran.length = 0
        isWell = true

        yield* one.jobs.retry(id, { cause: "own" })
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(ran, ["own 100"])
        assert.strictEqual((yield* one.jobs.progress(id)).tally.failed, 0)
        assert.deepInclude((yield* one.jobs.get(child.id)).state, { _tag: "CompletedWithErrors", attempt: 1 })
        assert.strictEqual((yield* failed(one, child.id)).length, 7)
      }))

    test("is as well one of a child's, at any depth, and leaves all others of the family failed", () =>
      Effect.gen(function*() {
        const [Top, Middle] = [Job.make("test/Top", {}), Job.make("test/Middle", {})]
        const ran: Array<string> = []
        let isWell = false
        let takes = 0
        const programs = Layer.mergeAll(
          Top.toLayer(() =>
            Effect.gen(function*() {
              yield* ChildJobs.run("middle", Middle, undefined)
              yield* ChildJobs.run("beside", World, undefined)
              yield* TaskDispatcher.use((_) =>
                _.fanOut("own", Visit, (after) =>
                  Option.isSome(after) ? Stream.empty : Stream.make({ _tag: "Item", cursor: "0", payload: { n: 99 } }))
              ).pipe(
                Effect.provide(Tasks.toLayer({
                  "test/Visit": () => {
                    ran.push("own")
                    return Effect.fail(new Bad({ code: "own" }))
                  }
                }))
              )
            }).pipe(Effect.orDie)
          ),
          Middle.toLayer(() => Effect.orDie(ChildJobs.run("world", World, undefined))),
          world(ran, () => isWell, () => takes)
        )
        const one = yield* process([Top, Middle, World], programs)
        const { id } = yield* one.jobs.start(Top, undefined)
        yield* TestClock.adjust("10 seconds")
        const child = Effect.fnUntraced(function*(parent: JobId.JobId, name: string) {
          const found = (yield* one.jobs.list({ parent })).find((record) =>
            Option.exists(record.parent, (asked) => asked.name === name)
          )
          return found?.id ?? assert.fail(`there is no ${name}`)
        })
        const stateOf = (id: JobId.JobId) => Effect.map(one.jobs.get(id), ({ state }) => state)
        const middle = yield* child(id, "middle")
        const [deep, beside] = [yield* child(middle, "world"), yield* child(id, "beside")]
        const before = yield* failed(one, deep)
        assert.strictEqual(before.length, 7)
        ran.length = 0
        isWell = true
        takes = 1000

        assert.include(refusal(yield* Effect.flip(one.jobs.retry(deep, { elements: [4711] }))), `Job ${deep} is not`)
        assert.deepInclude(yield* stateOf(id), { _tag: "CompletedWithErrors", attempt: 1 })
        yield* one.jobs.retry(deep, { elements: numbersOf(before, 3, 15) })
        assert.match(
          refusal(yield* Effect.flip(one.jobs.retry(beside))),
          new RegExp(`^NotAllowed: Job ${id} is (Queued|Running): it can't be retried for its child beside$`)
        )
        yield* TestClock.adjust("1500 millis")
        yield* one.kill
        const two = yield* process([Top, Middle, World], programs)
        yield* TestClock.adjust("30 seconds")

        assert.deepStrictEqual(Array.from(new Set(ran)), ["3", "15"])
        assert.deepStrictEqual((yield* failed(two, deep)).map(({ n }) => n), ["0", "6", "9", "12", "18"])
        for (const again of [id, middle, deep]) {
          assert.deepStrictEqual(
            yield* Effect.map(two.jobs.get(again), ({ state }) => state),
            JobState.JobState.cases.CompletedWithErrors.make({ attempt: 2, tries: 0 })
          )
        }
        assert.deepInclude((yield* two.jobs.get(beside)).state, { _tag: "CompletedWithErrors", attempt: 1 })
        assert.strictEqual((yield* two.jobs.progress(id)).tally.failed, 1)
        const lines = (id: JobId.JobId) =>
          Effect.map(Stream.runCollect(two.jobs.logs(id)), (all) => all.map(({ message }) => message))
        assert.include(yield* lines(id), "Retried for its child middle")
        assert.include(yield* lines(middle), "Retried for its child world by its parent")
        assert.include(yield* lines(deep), "Retried 2 chosen elements by its parent")

        // All of it, and so that nothing is left in this child.
        yield* two.jobs.retry(deep)
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude((yield* two.jobs.get(middle)).state, { _tag: "Completed", attempt: 3 })
        assert.deepInclude((yield* two.jobs.get(id)).state, { _tag: "CompletedWithErrors", attempt: 3 })
        assert.match(
          refusal(yield* Effect.flip(two.jobs.retry(deep))),
          /^NotAllowed: .* is Completed: it can't be retried$/
        )
      }))

    let laws = 0
    it.effect.prop(
      "holds for any program, through any crashes and pauses",
      { program: Laws.Program, picks: Schema.Array(Schema.Boolean).check(Schema.isMinLength(1)) },
      ({ picks, program }) =>
        Effect.gen(function*() {
          const trace = new Laws.Trace()
          const id = `job-${laws++}`
          yield* Laws.runThroughCrashes(id, { ...program, stops: [] }, trace)
          trace.nextAttempt()
          const failures = (yield* Laws.outcomesOf(id)).filter(([, { outcome }]) => outcome._tag === "Failed")
          const isChosen = ([, { origin }]: (typeof failures)[number], n: number) =>
            picks[n % picks.length] === true && decodeOrigin(origin).isRetriable
          const chosen = failures.filter(isChosen)
          const others = failures.filter((row, n) => !isChosen(row, n))
          if (chosen.length === 0) return

          const only = { elements: chosen.map(([seq]) => seq) }
          const tally = yield* Laws.runThroughCrashes(id, program, trace, { attempt: 2, isWell: true, only })

          Laws.checkLaws(program, trace)
          const rows = yield* Laws.outcomesOf(id)
          const rest = rows.filter(([, { outcome }]) => outcome._tag === "Failed")
          // A chosen element can open a bracket, in which others fail for the first time.
          const earlier = rest.filter(([, { attempt }]) => attempt === 1)
          assert.deepStrictEqual(earlier, others, "others keep their rows")
          const skips = rows.map(([, { outcome }]) => outcome._tag === "Skipped" ? outcome.count : 0)
          assert.strictEqual(tally.failed, rest.length)
          assert.strictEqual(tally.skipped, skips.reduce((sum, count) => sum + count, 0))
          const visits = new Set(trace.runs.flat().map(String))
          for (const [, { cursor }] of chosen) assert.isTrue(visits.has(cursor), `${cursor} runs again`)
          for (const [, { cursor }] of others) assert.isFalse(visits.has(cursor), `${cursor} does not`)

          trace.nextAttempt()
          const { done, failed, skipped } = yield* Laws.runThroughCrashes(id, program, trace, {
            attempt: 3,
            isWell: true
          })
          assert.deepStrictEqual({ done, failed, skipped }, Laws.expected(Laws.healed(program.steps)))
        }).pipe(Effect.provide(store)),
      { arbitrary: { size: 60 } }
    )
  })

onStores(suite)
