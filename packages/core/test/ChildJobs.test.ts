import { assert, describe, it } from "@effect/vitest"
import * as ChildJobs from "@fanout/core/ChildJobs"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import type { JobId } from "@fanout/core/JobId"
import { JobManagerError, JobNotCompleted } from "@fanout/core/JobManager"
import type { JobRecord } from "@fanout/core/JobRecord"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { isLong } from "../../../test/effort.ts"
import { type Process, process } from "./managers.ts"
import { onStores } from "./stores.ts"

class Broken extends Schema.TaggedError<Broken>("test/Broken")("Broken", { what: Schema.String }) {}

/** Ends as its payload says, after that many milliseconds. */
const Leaf = Job.make("test/Leaf", {
  payload: Schema.Struct({ name: Schema.String, millis: Schema.Number, end: Schema.String }),
  success: Schema.String,
  error: Broken
})
type Leaf = typeof Leaf.payload.Type
const ok = (name: string, millis = 0): Leaf => ({ name, millis, end: "ok" })

/** What has happened, in the order of it. */
type Story = Array<string>

const sleep = (millis: number) =>
  Effect.forEach(
    Array.from({ length: Math.ceil(millis / 50) }),
    () => Effect.andThen(Effect.sleep(50), Interrupter.check),
    { discard: true }
  )

const leaf = (story: Story, fails: (name: string) => boolean = () => false) =>
  Leaf.toLayer(
    Effect.fnUntraced(function*({ end, millis, name }) {
      story.push(`${name} begins`)
      yield* sleep(millis)
      if (end === "fails" || fails(name)) return yield* new Broken({ what: name })
      if (end === "dies") return yield* Effect.die(new Error(`${name} died`))
      story.push(`${name} ends`)
      return name
    }),
    { onCancel: ({ name }) => Effect.sync(() => story.push(`${name} is cleaned up`)) }
  )

type Failure = Broken | JobManagerError | JobNotCompleted

/** A job whose program is the test's. */
const Parent = Job.make("test/Parent", {
  payload: Schema.String,
  success: Schema.String,
  error: Schema.Union([Broken, JobManagerError, JobNotCompleted])
})
const parentOf = (
  program: (
    payload: string
  ) => Effect.Effect<string, Failure | Interrupter.Interrupted | JobStoreError, JobContext>,
  story: Story = []
) => Parent.toLayer(program, { onCancel: (name) => Effect.sync(() => story.push(`${name} is cleaned up`)) })

const jobs = [Parent, Leaf] as const

const stateOf = ({ jobs }: Process, id: JobId) => Effect.map(jobs.get(id), ({ state }) => state._tag)

/** States of all jobs but the newest first, by name in the parent, or by their own. */
const states = Effect.fnUntraced(function*({ jobs }: Process) {
  const all = yield* jobs.list()
  return Object.fromEntries(all.map(({ name, parent, state }) => [
    Option.match(parent, { onNone: () => name, onSome: ({ name }) => name }),
    state._tag === "Paused" ? `Paused ${state.by}` : state._tag
  ]))
})

/** The child of that name. */
const childOf = Effect.fnUntraced(function*({ jobs }: Process, name: string) {
  const all = yield* jobs.list()
  const found = all.find(({ parent }) => Option.exists(parent, (parent) => parent.name === name))
  return found ?? assert.fail(`there is no child ${name}`)
})

/** All jobs in pages of two, and of these the children of one. */
const paged = Effect.fnUntraced(function*({ jobs }: Process, parent?: JobId) {
  const pages: Array<ReadonlyArray<string>> = []
  let before: JobRecord | undefined
  do {
    const page: ReadonlyArray<JobRecord> = yield* jobs.list({ parent, before, limit: 2 })
    pages.push(page.map(({ name, parent }) => Option.match(parent, { onNone: () => name, onSome: (_) => _.name })))
    before = page.at(-1)
  } while (before !== undefined)
  return pages
})

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

const suite = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`ChildJobs (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    test("run beside their parent, and give it what they came to", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf(story),
            parentOf(() =>
              Effect.gen(function*() {
                const first = yield* ChildJobs.start("first", Leaf, ok("a", 100))
                const second = yield* ChildJobs.start("second", Leaf, { name: "b", millis: 0, end: "fails" })
                const failed = yield* Effect.catchTag(second.await, "Broken", ({ what }) => Effect.succeed(what))
                return `${yield* first.await}, ${failed}`
              })
            )
          )
        )
        const { await: ended, id } = yield* one.jobs.start(Parent, "p", { priority: 3 })
        yield* pass(1000)

        assert.strictEqual(yield* ended, "a, b")
        const child = yield* childOf(one, "first")
        assert.deepStrictEqual(child.parent, Option.some({ id, name: "first", attempt: 1, tries: 0 }))
        assert.strictEqual(child.priority, 3)
        // One of them has failed, and a retry would run it again.
        assert.deepStrictEqual(yield* states(one), {
          "test/Parent": "CompletedWithErrors",
          first: "Completed",
          second: "Failed"
        })
      }))

    test("are listed by their parent, page by page, and among all jobs", () =>
      Effect.gen(function*() {
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf([]),
            parentOf((payload) =>
              Effect.as(Effect.forEach(["x", "y", "z"], (name) => ChildJobs.run(name, Leaf, ok(name))), payload)
            )
          ),
          { concurrency: 1 }
        )
        const { id } = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)
        yield* one.jobs.start(Leaf, ok("other"))
        yield* pass(1000)

        assert.deepStrictEqual(yield* paged(one, id), [["z", "y"], ["x"], []])
        assert.deepStrictEqual(yield* paged(one), [["test/Leaf", "z"], ["y", "x"], ["test/Parent"], []])
      }))

    for (
      const [end, why] of [["dies", "it died: x died"], ["cancelled", "it was cancelled"]] as const
    ) {
      test(`are typed errors where one ${end}`, () =>
        Effect.gen(function*() {
          const one = yield* process(
            jobs,
            Layer.merge(
              leaf([]),
              parentOf(() => ChildJobs.run("x", Leaf, { name: "x", millis: 300, end }))
            )
          )
          const parent = yield* one.jobs.start(Parent, "p")
          yield* pass(100)
          if (end === "cancelled") yield* one.jobs.cancel((yield* childOf(one, "x")).id)
          yield* pass(1000)

          const error = yield* Effect.flip(parent.await)
          assert.instanceOf(error, JobNotCompleted)
          assert.include(error.message, why)
        }))
    }

    test("are found by a second run, and not run again when they are over", () =>
      Effect.gen(function*() {
        const story: Story = []
        const programs = Layer.merge(
          leaf(story),
          parentOf(() =>
            Effect.gen(function*() {
              story.push("parent begins")
              yield* ChildJobs.run("a", Leaf, ok("a"))
              return yield* ChildJobs.run("b", Leaf, ok("b", 500))
            })
          )
        )
        const one = yield* process(jobs, programs)
        const { id } = yield* one.jobs.start(Parent, "p")
        yield* pass(250)
        yield* one.kill
        const two = yield* process(jobs, programs)
        yield* pass(40_000)

        assert.strictEqual(yield* (yield* two.jobs.attach(Parent, id)).await, "b")
        assert.deepStrictEqual(yield* states(two), { "test/Parent": "Completed", a: "Completed", b: "Completed" })
        assert.strictEqual(story.filter((line) => line === "parent begins").length, 2)
        assert.strictEqual(story.filter((line) => line === "a begins").length, 1)
        assert.strictEqual((yield* two.jobs.list()).length, 3)
      }))

    /** A parent of a parent of a leaf, and so on. */
    const Nested = Job.make("test/Nested", { payload: Schema.Number, success: Schema.Number })
    const nested = Nested.toLayer((depth) =>
      depth === 0
        ? Effect.as(sleep(100), 1)
        : Effect.map(
          Effect.all([
            ChildJobs.run("left", Nested, depth - 1),
            ChildJobs.run("right", Nested, depth - 1)
          ], { concurrency: "unbounded" }).pipe(Effect.catchTags({
            JobNotCompleted: Effect.die,
            JobManagerError: Effect.die
          })),
          ([left, right]) => left + right
        )
    )

    test("leave the permits of the tasks that wait for them to their own", () =>
      Effect.gen(function*() {
        const Busy = Job.make("test/Busy", { success: Schema.Number })
        const busy = Busy.toLayer(() =>
          Effect.flatMap(TaskDispatcher, ({ runEffect }) => runEffect(Effect.as(sleep(100), 1), { pool: "cpu" }))
        )
        const Waiting = Job.make("test/Waiting", { success: Schema.Number })
        const waiting = Waiting.toLayer(() =>
          Effect.gen(function*() {
            const { runEffect } = yield* TaskDispatcher
            const ones = yield* Effect.forEach(
              // As many as there are permits.
              ["a", "b"],
              (name) => runEffect(ChildJobs.run(name, Busy, undefined), { pool: "cpu" }),
              { concurrency: "unbounded" }
            )
            return ones.length
          }).pipe(Effect.catchTags({ JobNotCompleted: Effect.die, JobManagerError: Effect.die }))
        )
        const one = yield* process([Waiting, Busy], Layer.merge(waiting, busy))
        const { await: ended } = yield* one.jobs.start(Waiting, undefined)
        const running = yield* Effect.forkScoped(ended)
        yield* pass(10_000)

        assert.deepStrictEqual(running.pollUnsafe(), Exit.succeed(2))
      }))

    const generations = isLong ? 5 : 3
    test(`get on in one place and one permit, ${generations} generations of tasks that have children`, () =>
      Effect.gen(function*() {
        const Deep = Job.make("test/Deep", { payload: Schema.Number, success: Schema.Number })
        const deep = Deep.toLayer((depth) =>
          Effect.gen(function*() {
            const { runEffect } = yield* TaskDispatcher
            const task = (name: string) =>
              runEffect(depth === 0 ? Effect.as(sleep(50), 1) : ChildJobs.run(name, Deep, depth - 1), { pool: "cpu" })
            const [left, right] = yield* Effect.all([task("left"), task("right")], { concurrency: 2 })
            return left + right
          }).pipe(Effect.catchTags({ JobNotCompleted: Effect.die, JobManagerError: Effect.die }))
        )
        const one = yield* process([Deep], deep, { concurrency: 1 }, { cpu: 1 })
        const { await: ended } = yield* one.jobs.start(Deep, generations - 1)
        const running = yield* Effect.forkScoped(ended)
        for (let i = 0; i < 2 ** (generations + 1); i++) yield* pass(1000)

        assert.deepStrictEqual(running.pollUnsafe(), Exit.succeed(2 ** generations))
      }))

    for (const concurrency of [1, 2]) {
      test(`leave places to each other, any number of generations in ${concurrency}`, () =>
        Effect.gen(function*() {
          const one = yield* process([Nested], nested, { concurrency })
          const { await: ended } = yield* one.jobs.start(Nested, 4)
          yield* pass(10_000)

          assert.strictEqual(yield* ended, 16)
        }))
    }

    test("run no more at once than there are places for their name, also when they go on", () =>
      Effect.gen(function*() {
        const story: Story = []
        const program = parentOf((name) =>
          Effect.gen(function*() {
            story.push(`${name} begins`)
            if (name === "p") yield* ChildJobs.run("child", Leaf, ok("c", 100))
            else yield* sleep(1000)
            story.push(`${name} ends`)
            return name
          })
        )
        const options = { concurrency: 8, concurrencyByName: { "test/Parent": 1 } }
        const one = yield* process(jobs, Layer.merge(leaf(story), program), options)
        yield* one.jobs.startAll(Parent, ["p", "q", "r"])
        yield* one.jobs.start(Leaf, ok("x", 500))
        yield* pass(5000)

        const order = story.filter((line) => /^[pqr]/.test(line))
        assert.deepStrictEqual(order, ["p begins", "q begins", "q ends", "p ends", "r begins", "r ends"])
        assert.isBelow(story.indexOf("x ends"), story.indexOf("q ends"))
      }))

    test("run no more at once than there are places, and parents go on before others begin", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf(story),
            parentOf((name) =>
              Effect.gen(function*() {
                story.push(`${name} begins`)
                yield* ChildJobs.run("child", Leaf, ok(`${name}'s`, 50))
                story.push(`${name} goes on`)
                yield* sleep(100)
                story.push(`${name} ends`)
                return name
              })
            )
          ),
          { concurrency: 1 }
        )
        for (const name of ["p", "q"]) yield* one.jobs.start(Parent, name)
        yield* one.jobs.start(Leaf, ok("x", 50))
        yield* pass(2000)

        assert.deepStrictEqual(story, [
          "p begins",
          "p's begins",
          "p's ends",
          "p goes on",
          "p ends",
          "q begins",
          "q's begins",
          "q's ends",
          "q goes on",
          "q ends",
          "x begins",
          "x ends"
        ])
      }))

    test("get the place that their parent waits for with another of its fibers", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(
          [Parent],
          parentOf((name) => {
            const note = (what: string) => Effect.sync(() => story.push(`${name} ${what}`))
            if (name === "x") return Effect.as(Effect.andThen(note("begins"), sleep(1000)), name)
            if (name === "inner") return Effect.as(note("begins"), name)
            const inner = Effect.andThen(sleep(300), ChildJobs.run("inner", Parent, "inner"))
            const elsewhere = Effect.tap(ChildJobs.run("elsewhere", Leaf, ok("a", 100)), () => note("goes on"))
            return Effect.map(Effect.all([elsewhere, inner], { concurrency: 2 }), (names) => names.join(" "))
          }),
          { concurrency: 1 }
        )
        yield* process([Leaf], leaf([]))
        const { await: ended } = yield* one.jobs.start(Parent, "p")
        yield* settle
        yield* one.jobs.start(Parent, "x")
        yield* pass(5000)

        assert.strictEqual(yield* ended, "a inner")
        assert.deepStrictEqual(story, ["x begins", "p goes on", "inner begins"])
      }))

    test("that fail let their parent wait for a place, too", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf(story),
            parentOf(() =>
              Effect.gen(function*() {
                const child = { name: "child", millis: 100, end: "fails" }
                yield* Effect.ignore(ChildJobs.run("child", Leaf, child))
                story.push("parent goes on")
                return "p"
              })
            )
          ),
          { concurrency: 1 }
        )
        yield* one.jobs.start(Parent, "p")
        yield* settle
        yield* one.jobs.start(Leaf, ok("urgent", 500), { priority: 5 })
        yield* pass(3000)

        assert.deepStrictEqual(story, ["child begins", "parent goes on", "urgent begins", "urgent ends"])
      }))

    if (isLong) {
      test("that wait for what nobody runs don't let any number of parents begin", () =>
        Effect.gen(function*() {
          const parents = parentOf(() => ChildJobs.run("x", Leaf, ok("x")))
          const one = yield* process([Parent], parents, { concurrency: 2 })
          for (let i = 0; i < 270; i++) yield* one.jobs.start(Parent, "p")
          yield* pass(200)
          for (let i = 0; i < 200; i++) yield* settle

          const running = yield* one.jobs.list({ states: ["Running"], limit: 1000 })
          assert.include([256, 257], running.length)
        }))
    }

    /** A parent of a parent of a leaf that takes twenty seconds. */
    const family = (story: Story) =>
      Layer.merge(
        leaf(story),
        parentOf((name) =>
          name === "grandparent"
            ? ChildJobs.run("parent", Parent, "parent")
            : Effect.gen(function*() {
              const quick = yield* ChildJobs.start("quick", Leaf, ok("quick"))
              yield* quick.await
              return yield* ChildJobs.run("slow", Leaf, ok("slow", 20_000))
            }), story)
      )

    test("are cancelled with their parents, and clean up", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(jobs, family(story))
        const { id } = yield* one.jobs.start(Parent, "grandparent")
        yield* pass(1000)
        yield* one.jobs.cancel(id)
        yield* pass(1000)

        assert.deepStrictEqual(yield* states(one), {
          "test/Parent": "Cancelled",
          parent: "Cancelled",
          quick: "Completed",
          slow: "Cancelled"
        })
        assert.sameMembers(story.filter((line) => line.includes("cleaned")), [
          "grandparent is cleaned up",
          "parent is cleaned up",
          "slow is cleaned up"
        ])
        assert.deepStrictEqual(yield* (yield* JobStore.JobStore).astray, [])
      }))

    test("are cancelled with a parent whose owner is lost", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(jobs, family(story))
        const { id } = yield* one.jobs.start(Parent, "grandparent")
        yield* pass(1000)
        yield* one.kill
        const two = yield* process(jobs, family(story))
        yield* two.jobs.cancel(id)
        yield* pass(60_000)

        const { quick, ...others } = yield* states(two)
        assert.strictEqual(quick, "Completed")
        assert.deepStrictEqual(others, { "test/Parent": "Cancelled", parent: "Cancelled", slow: "Cancelled" })
      }))

    test("are paused and resumed with their parents, but not those that a person has paused", () =>
      Effect.gen(function*() {
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf([]),
            parentOf((name) =>
              name === "grandparent"
                ? ChildJobs.run("parent", Parent, "parent")
                : Effect.gen(function*() {
                  const own = yield* ChildJobs.start("own", Leaf, ok("own", 2000))
                  yield* ChildJobs.run("other", Leaf, ok("other", 2000))
                  return yield* own.await
                })
            )
          )
        )
        const { await: ended, id } = yield* one.jobs.start(Parent, "grandparent")
        yield* pass(1000)
        const own = yield* childOf(one, "own")
        yield* one.jobs.pause(own.id)
        yield* pass(500)
        yield* one.jobs.pause(id)
        yield* pass(1000)

        const paused = { "test/Parent": "Paused person", parent: "Paused parent", other: "Paused parent" }
        assert.deepStrictEqual(yield* states(one), { ...paused, own: "Paused person" })
        yield* pass(10_000)
        assert.deepStrictEqual(yield* states(one), { ...paused, own: "Paused person" })
        const refused = yield* Effect.flip(one.jobs.resume(own.id))
        assert.include(refused.message, "which started it")

        yield* one.jobs.resume(id)
        yield* pass(5000)
        assert.deepStrictEqual(yield* states(one), {
          "test/Parent": "Running",
          parent: "Running",
          other: "Completed",
          own: "Paused person"
        })
        yield* one.jobs.resume(own.id)
        yield* pass(5000)
        assert.strictEqual(yield* ended, "own")
      }))

    test("that a person pauses while they are asked to pause with their parent stay paused", () =>
      Effect.gen(function*() {
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "parent")
        yield* pass(1000)
        const slow = yield* childOf(one, "slow")
        yield* one.jobs.pause(id)
        assert.deepStrictEqual((yield* one.jobs.get(slow.id)).request, Option.some("PauseWithParent"))
        yield* one.jobs.pause(slow.id)
        yield* pass(1000)
        yield* one.jobs.resume(id)
        yield* pass(1000)

        assert.deepInclude(yield* states(one), { "test/Parent": "Running", slow: "Paused person" })
      }))

    test("that a person pauses while they are paused with their parent stay paused", () =>
      Effect.gen(function*() {
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "parent")
        yield* pass(1000)
        yield* one.jobs.pause(id)
        yield* pass(1000)
        yield* one.jobs.pause((yield* childOf(one, "slow")).id)
        yield* one.jobs.resume(id)
        yield* pass(1000)

        assert.deepInclude(yield* states(one), { "test/Parent": "Running", slow: "Paused person" })
      }))

    test("that are asked to cancel are, also where their owner is lost and their parent paused", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "parent")
        yield* pass(1000)
        yield* one.kill
        const two = yield* process(jobs, family(story), { concurrency: 1 })
        // Has no place for what was lost at first.
        yield* two.jobs.start(Leaf, ok("busy", 30_000))
        yield* pass(1000)
        yield* two.jobs.cancel((yield* childOf(two, "slow")).id)
        yield* two.jobs.pause(id)
        yield* pass(60_000)

        assert.deepInclude(yield* states(two), { "test/Parent": "Paused person", slow: "Cancelled" })
        assert.include(story, "slow is cleaned up")
      }))

    test("of a lost owner are cancelled also by a process that claims nothing but their parent", () =>
      Effect.gen(function*() {
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "grandparent")
        yield* pass(1000)
        yield* one.kill
        const two = yield* process(jobs, family([]), { claim: { ids: [id] } })
        yield* two.jobs.cancel(id)
        yield* pass(60_000)

        assert.deepInclude(yield* states(two), { "test/Parent": "Cancelled", parent: "Cancelled", slow: "Cancelled" })
      }))

    test("may use no more than their parent, whenever that is set", () =>
      Effect.gen(function*() {
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf([]),
            parentOf((name) =>
              name === "grandparent"
                ? ChildJobs.run("parent", Parent, "parent")
                : Effect.gen(function*() {
                  yield* ChildJobs.run("over", Leaf, ok("over"))
                  yield* ChildJobs.run("before", Leaf, ok("before", 2000))
                  return yield* ChildJobs.run("after", Leaf, ok("after", 60_000))
                })
            )
          )
        )
        const { id } = yield* one.jobs.start(Parent, "grandparent", { limits: { concurrency: 5 } })
        yield* pass(1000)
        yield* one.jobs.set(id, { priority: 5, limits: { concurrency: 2, bytesPerSecond: 1000 } })
        yield* pass(3000)

        for (const name of ["parent", "before", "after"]) {
          const { limits, priority } = yield* childOf(one, name)
          assert.deepStrictEqual({ limits, priority }, {
            limits: { concurrency: 2, bytesPerSecond: 1000 },
            priority: 5
          })
        }
        assert.deepInclude(yield* childOf(one, "over"), { limits: { concurrency: 5 }, priority: 0 })
      }))

    test("get what is set for their parent while they are started", () =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        const set: { now: Effect.Effect<void> } = { now: Effect.void }
        const between = Layer.succeed(JobStore.JobStore, {
          ...store,
          insertChild: (child, token) => Effect.andThen(set.now, store.insertChild(child, token))
        })
        const layer = Layer.merge(
          leaf([]),
          parentOf(() =>
            Effect.gen(function*() {
              yield* ChildJobs.start("own", Leaf, ok("own", 2000), { priority: 3 })
              yield* sleep(500)
              return yield* ChildJobs.run("child", Leaf, ok("child", 2000))
            })
          )
        )
        const one = yield* process(jobs, layer).pipe(Effect.provide(between))
        const { id } = yield* one.jobs.start(Parent, "p")
        set.now = Effect.orDie(one.jobs.set(id, { limits: { concurrency: 2 } }))
        yield* pass(0)
        assert.deepInclude(yield* childOf(one, "own"), { limits: { concurrency: 2 }, priority: 3 })
        set.now = Effect.orDie(one.jobs.set(id, { priority: 5 }))
        yield* pass(1000)

        assert.deepInclude(yield* childOf(one, "child"), { limits: { concurrency: 2 }, priority: 5 })
      }))

    test("of the youngest generation are run first, so that few of their parents wait", () =>
      Effect.gen(function*() {
        let inside = 0
        let most = 0
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf([]),
            parentOf((name) =>
              name === "root"
                ? Effect.as(
                  Effect.forEach(
                    Array.from({ length: 30 }, (_, n) => `child ${n}`),
                    (child) => ChildJobs.run(child, Parent, child),
                    { concurrency: "unbounded" }
                  ),
                  name
                )
                : Effect.acquireUseRelease(
                  Effect.sync(() => most = Math.max(most, ++inside)),
                  () => ChildJobs.run(`leaf of ${name}`, Leaf, ok(name, 50)),
                  () => Effect.sync(() => inside--)
                )
            )
          ),
          { concurrency: 2 }
        )
        const { id } = yield* one.jobs.start(Parent, "root")
        yield* pass(20_000)

        assert.strictEqual(yield* stateOf(one, id), "Completed")
        assert.isAtMost(most, 4)
      }))

    test("that nobody here has a program for are neither read nor remembered", () =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        const except = new Set<JobId>()
        let read = 0
        const watched: JobStore.JobStore["Service"] = {
          ...store,
          due: (filter) => {
            for (const id of filter.except) except.add(id)
            return Effect.tap(store.due(filter), (due) => Effect.sync(() => read += due.length))
          }
        }
        const parents = parentOf(() => ChildJobs.run("x", Leaf, ok("x")))
        const one = yield* Effect.provideService(process([Parent], parents), JobStore.JobStore, watched)
        const { id } = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)
        assert.strictEqual((yield* childOf(one, "x")).state._tag, "Queued")
        const two = yield* process([Leaf], leaf([]))
        yield* pass(1000)
        yield* two.close

        assert.strictEqual(yield* stateOf(one, id), "Completed")
        assert.deepStrictEqual([Array.from(except), read], [[], 1])
      }))

    test("go on where a pause of their parent is taken back before they have come to it", () =>
      Effect.gen(function*() {
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "parent")
        yield* pass(1000)
        yield* one.jobs.pause(id)
        yield* one.jobs.resume(id)
        yield* pass(1000)

        assert.deepInclude(yield* states(one), { "test/Parent": "Running", slow: "Running" })
      }))

    for (const end of ["succeeds", "fails"]) {
      test(`are cancelled when a parent ${end} without having waited for them`, () =>
        Effect.gen(function*() {
          const one = yield* process(
            jobs,
            Layer.merge(
              leaf([]),
              parentOf(() =>
                Effect.gen(function*() {
                  yield* ChildJobs.start("slow", Leaf, ok("slow", 60_000))
                  yield* sleep(300)
                  return end === "succeeds" ? end : yield* new Broken({ what: end })
                })
              )
            )
          )
          yield* one.jobs.start(Parent, "p")
          yield* pass(1000)

          assert.deepStrictEqual(yield* states(one), {
            "test/Parent": end === "succeeds" ? "Completed" : "Failed",
            slow: "Cancelled"
          })
        }))
    }

    test("that have failed, or were cancelled, run again when their parent is retried", () =>
      Effect.gen(function*() {
        const story: Story = []
        let broken = true
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf(story, (name) => broken && name === "b"),
            parentOf(() =>
              Effect.gen(function*() {
                const a = yield* ChildJobs.start("a", Leaf, ok("a"))
                const c = yield* ChildJobs.start("c", Leaf, ok("c", 5000))
                yield* a.await
                const b = yield* ChildJobs.run("b", Leaf, ok("b"))
                return `${b}, ${yield* c.await}`
              })
            )
          )
        )
        const parent = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)
        assert.deepStrictEqual(yield* states(one), {
          "test/Parent": "Failed",
          a: "Completed",
          b: "Failed",
          c: "Cancelled"
        })
        const b = yield* childOf(one, "b")

        broken = false
        yield* one.jobs.retry(b.id)
        yield* pass(10_000)

        assert.strictEqual(yield* parent.await, "b, c")
        assert.strictEqual(story.filter((line) => line === "a begins").length, 1)
        assert.deepInclude((yield* one.jobs.get(b.id)).state, { _tag: "Completed", attempt: 2 })
      }))

    test("wait for what an attempt that is over has left to end, before they are started anew", () =>
      Effect.gen(function*() {
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf([]),
            parentOf(() =>
              Effect.gen(function*() {
                const { attempt } = yield* JobContext
                const slow = yield* ChildJobs.start("slow", Leaf, ok("slow", 2000))
                return attempt === 1 ? yield* new Broken({ what: "first" }) : yield* slow.await
              })
            )
          )
        )
        const parent = yield* one.jobs.start(Parent, "p")
        yield* settle
        assert.strictEqual(yield* stateOf(one, parent.id), "Failed")
        yield* one.jobs.retry(parent.id)
        yield* pass(10_000)

        assert.strictEqual(yield* parent.await, "slow")
      }))

    test("that have failed run again with their parent's own retry, and no other time", () =>
      Effect.gen(function*() {
        const story: Story = []
        const Stubborn = Job.make("test/Stubborn", {
          success: Schema.String,
          error: Broken,
          retry: Schedule.spaced("1 second").pipe(Schedule.upTo({ times: 3 }))
        })
        let begun = 0
        const one = yield* process(
          [Stubborn, Leaf],
          Layer.merge(
            leaf(story, () => ++begun < 3),
            Stubborn.toLayer(() =>
              Effect.gen(function*() {
                // A second look in the same try finds the same end.
                yield* Effect.ignore(ChildJobs.run("x", Leaf, ok("x")))
                return yield* ChildJobs.run("x", Leaf, ok("x"))
              }).pipe(Effect.catchTags({ JobNotCompleted: Effect.die, JobManagerError: Effect.die }))
            )
          )
        )
        const { await: ended } = yield* one.jobs.start(Stubborn, undefined)
        yield* pass(10_000)

        assert.strictEqual(yield* ended, "x")
        assert.deepStrictEqual(story, ["x begins", "x begins", "x begins", "x ends"])
      }))

    test("are run by the process that runs their parent, whatever else it claims", () =>
      Effect.gen(function*() {
        const programs = (story: Story) => family(story)
        const idle: Story = []
        const watcher = yield* process(jobs, programs(idle), { claim: "none" })
        const { await: ended, id } = yield* watcher.jobs.start(Parent, "grandparent")
        yield* watcher.jobs.start(Leaf, ok("stranger"))
        const story: Story = []
        const one = yield* process(jobs, programs(story), { claim: { ids: [id] } })
        yield* pass(30_000)

        assert.strictEqual(yield* ended, "slow")
        assert.deepStrictEqual(idle, [])
        assert.notInclude(story, "stranger begins")
        yield* one.close
      }))

    test("of a process that is lost are taken over with their parent", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "grandparent")
        yield* pass(1000)
        yield* one.kill
        const two = yield* process(jobs, family(story), { claim: { ids: [id] } })
        yield* pass(60_000)

        assert.strictEqual(yield* stateOf(two, id), "Completed")
        assert.deepStrictEqual(story, ["slow begins", "slow ends"])
      }))

    test("that go on don't let their parent be given up, however often its owners are lost", () =>
      Effect.gen(function*() {
        const programs = Layer.merge(
          leaf([]),
          parentOf(() => ChildJobs.run("x", Leaf, ok("x", 40_000)))
        )
        const two = yield* process([Leaf], leaf([]))
        const start = process([Parent], programs, { leaseTtl: 1500 })
        let last = yield* start
        const { id } = yield* last.jobs.start(Parent, "p")
        for (let i = 0; i < 7; i++) {
          yield* pass(1000)
          yield* last.kill
          last = yield* start
          yield* pass(4000)
        }
        assert.strictEqual(yield* stateOf(two, id), "Running")
        yield* pass(40_000)

        assert.strictEqual(yield* stateOf(two, id), "Completed")
      }))

    test("that nobody here has a program for are left to others", () =>
      Effect.gen(function*() {
        const one = yield* process([Parent], parentOf(() => ChildJobs.run("x", Leaf, ok("x"))))
        const { await: ended } = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)
        assert.deepStrictEqual(yield* states(one), { "test/Parent": "Running", x: "Queued" })
        yield* process([Leaf], leaf([]))
        yield* pass(1000)

        assert.strictEqual(yield* ended, "x")
      }))

    test("are cancelled by who can clean up after them, and by nobody else", () =>
      Effect.gen(function*() {
        const story: Story = []
        const one = yield* process(jobs, family([]))
        const { id } = yield* one.jobs.start(Parent, "parent")
        yield* pass(1000)
        yield* one.jobs.pause(id)
        yield* pass(1000)
        yield* one.close
        const stranger = yield* process([], Layer.empty)
        yield* stranger.jobs.cancel(id)
        yield* pass(1000)
        assert.deepInclude(yield* states(stranger), { "test/Parent": "Queued", slow: "Queued" })
        assert.deepStrictEqual((yield* childOf(stranger, "slow")).request, Option.some("Cancel"))
        const two = yield* process(jobs, family(story))
        yield* pass(1000)

        assert.deepInclude(yield* states(two), { "test/Parent": "Cancelled", slow: "Cancelled" })
        assert.sameMembers(story, ["parent is cleaned up", "slow is cleaned up"])
      }))

    test("that would do what another job does are refused", () =>
      Effect.gen(function*() {
        const Alone = Job.make("test/Alone", { success: Schema.String, exclusiveKey: () => "k" })
        const one = yield* process(
          [Parent, Alone],
          Layer.merge(
            Alone.toLayer(() => Effect.as(sleep(5000), "alone")),
            parentOf(() => ChildJobs.run("x", Alone, undefined))
          )
        )
        yield* one.jobs.start(Alone, undefined)
        const { await: ended } = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)

        const error = yield* Effect.flip(ended)
        assert.instanceOf(error, JobManagerError)
        assert.strictEqual(error.reason._tag, "ActiveJobDiffers")
      }))

    test("that would run again are refused where another job does by now what they did", () =>
      Effect.gen(function*() {
        const Alone = Job.make("test/Alone", { success: Schema.String, error: Broken, exclusiveKey: () => "k" })
        let isBroken = true
        const one = yield* process(
          [Parent, Alone],
          Layer.merge(
            Alone.toLayer(() => isBroken ? Effect.fail(new Broken({ what: "it" })) : Effect.as(sleep(5000), "alone")),
            parentOf(() => ChildJobs.run("x", Alone, undefined))
          )
        )
        const { await: ended, id } = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)
        isBroken = false
        yield* one.jobs.start(Alone, undefined)
        yield* one.jobs.retry(id)
        yield* pass(1000)

        const error = yield* Effect.flip(ended)
        assert.instanceOf(error, JobManagerError)
        assert.strictEqual(error.reason._tag, "ActiveJobDiffers")
      }))

    test("keep their name for their own kind of job", () =>
      Effect.gen(function*() {
        const one = yield* process(
          jobs,
          Layer.merge(
            leaf([]),
            parentOf((name) =>
              name === "inner" ? Effect.succeed(name) : Effect.andThen(
                ChildJobs.run("x", Leaf, ok("x")),
                ChildJobs.run("x", Parent, "inner")
              )
            )
          )
        )
        const { await: ended } = yield* one.jobs.start(Parent, "p")
        yield* pass(1000)

        assert.include((yield* Effect.flip(ended)).message, `Child "x"`)
      }))
  })

onStores(suite)
