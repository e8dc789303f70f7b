import { assert, describe, it } from "@effect/vitest"
import * as Checkpoint from "@fanout/core/Checkpoint"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import { JobContext } from "@fanout/core/JobContext"
import * as JobId from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Node from "@fanout/core/node"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { TaskDispatcher, throttle } from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { AwakeTime, JobLease } from "../src/internal/job/ownership.ts"
import * as Records from "./JobStoreRecords.ts"

class Broken extends Schema.TaggedError<Broken>("test/Broken")("Broken", { what: Schema.String }) {}

const Double = Job.make("test/Double", {
  payload: Schema.Struct({ n: Schema.Number }),
  success: Schema.Number,
  error: Broken,
  idempotencyKey: ({ n }) => `double ${n}`,
  exclusiveKey: ({ n }) => `${n % 10}`
})

class WriteFailed extends Schema.TaggedError<WriteFailed>("test/WriteFailed")("WriteFailed", { code: Schema.String }) {}

const Write = Task.make("test/Write", {
  payload: { n: Schema.Number },
  error: WriteFailed,
  key: ({ n }) => String(n),
  pool: "io"
})
class WriteTasks extends RpcGroup.make(Write) {}

const numbers = (count: number) => (after: Option.Option<string>) =>
  Stream.fromIterable(
    Array.from({ length: count }, (_, n) => ({ _tag: "Item", cursor: String(n), payload: { n } }) as const)
      .slice(Option.match(after, { onNone: () => 0, onSome: (cursor) => Number(cursor) + 1 }))
  )

/** Runs until it is stopped, and stops at its next safe point. */
const Patient = Job.make("test/Patient", { success: Schema.Literal("done") })

const patient = (onCancel: (id: string) => void) =>
  Patient.toLayer(() =>
    Effect.gen(function*() {
      while (true) {
        yield* Effect.sleep(50)
        yield* Interrupter.check
      }
    }), { onCancel: (_, id) => Effect.sync(() => onCancel(id)) })

/** A store that does not answer while it is frozen, as to a process that was stopped. */
const freezable = (store: JobStore.JobStore["Service"], frozen: { readonly now: boolean }) => {
  const thawed: Effect.Effect<void> = Effect.suspend(() => frozen.now ? Effect.delay(thawed, 50) : Effect.void)
  return new Proxy(store, {
    get: (target, name, receiver) => {
      const method: unknown = Reflect.get(target, name, receiver)
      if (Effect.isEffect(method)) return Effect.andThen(thawed, method)
      return typeof method === "function"
        ? (...args: ReadonlyArray<unknown>) => Effect.andThen(thawed, Effect.suspend(() => method(...args)))
        : method
    }
  })
}

/** Starts a job that runs until it has lost its lease, on a store that can be frozen, and tells when it has ended. */
const untilLost = Effect.fnUntraced(function*(
  edit: (store: JobStore.JobStore["Service"]) => JobStore.JobStore["Service"]
) {
  const frozen = { now: false }
  const ends: Array<number> = []
  const end = Effect.clockWith((clock) => Effect.sync(() => ends.push(clock.currentTimeMillisUnsafe())))
  const program = Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check))
  const { jobs } = yield* manager([Patient], Patient.toLayer(() => Effect.ensuring(program, end))).pipe(
    Effect.updateService(JobStore.JobStore, (store) => freezable(edit(store), frozen))
  )
  const { id } = yield* jobs.start(Patient, undefined)
  return { ends, frozen, id }
})

/** A store that has no space for what it would have to record. */
const fullUp = (
  store: JobStore.JobStore["Service"],
  full: { readonly now: ReadonlyArray<"flush" | "saveOwnCheckpoint" | "end"> }
): typeof store => {
  const unlessFull = <A, E, R>(what: (typeof full.now)[number], write: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | JobStoreError, R> => {
      if (!full.now.includes(what)) return write
      const reason = new StorageFailure({ operation: "write", problem: "Full", cause: "full" })
      return Effect.fail(new JobStoreError({ reason }))
    })
  return {
    ...store,
    flush: (id, flush, onCommit) => unlessFull("flush", store.flush(id, flush, onCommit)),
    saveOwnCheckpoint: (id, options) => unlessFull("saveOwnCheckpoint", store.saveOwnCheckpoint(id, options)),
    put: (record, line, renames) => {
      const put = store.put(record, line, renames)
      return Option.isSome(record.finishedAt) ? unlessFull("end", put) : put
    }
  }
}

/** Sees that every other process is dead. */
const seesDead = Layer.fresh(Layer.effect(
  OwnerLiveness.OwnerLiveness,
  Effect.map(JobId.generate, (process) => {
    const self = new OwnerLiveness.Owner({ machine: "m", boot: "b", process })
    return { self, isDead: (owner: OwnerLiveness.Owner) => Effect.succeed(owner.process !== process) }
  })
))

const Item = Task.make("test/Item", { payload: { n: Schema.Number }, error: Broken, key: ({ n }) => `item ${n}` })

class Tasks extends RpcGroup.make(Item) {}

const Named = Task.make("test/Named", { payload: { name: Schema.String }, key: ({ name }) => name })
class Names extends RpcGroup.make(Named) {}

/** Fans out over 20 items, 4 at once; its success counts those that are done. */
const Many = Job.make("test/Many", { success: Schema.Number })

const many = (handle: (n: number) => Effect.Effect<unknown, Broken>) =>
  Many.toLayer(() =>
    Effect.gen(function*() {
      const dispatcher = yield* TaskDispatcher
      yield* Progress.total("items", 20)
      const tally = yield* dispatcher.fanOut("items", Item, (after) =>
        Stream.range(
          Option.match(after, {
            onNone: () => 0,
            onSome: (cursor) => Number(cursor) + 1
          }),
          19
        ).pipe(
          Stream.map((n) => ({ _tag: "Item" as const, cursor: `${n}`, payload: { n } }))
        ), { concurrency: 4 })
      return tally.done
    })
  ).pipe(Layer.provide(Tasks.toLayer({ "test/Item": ({ n }) => Effect.asVoid(handle(n)) })))

type Service = JobManager.JobManager["Service"]

/** Another process on the same store: a manager in a scope of its own. */
const manager = <const Jobs extends ReadonlyArray<Job.Any>>(
  jobs: Jobs,
  programs: Layer.Layer<Job.ToProgram<Jobs[number]>>,
  options: Omit<JobManager.Options<Jobs>, "jobs"> = {},
  liveness: Layer.Layer<OwnerLiveness.OwnerLiveness> = Layer.fresh(OwnerLiveness.layerBlind)
): Effect.Effect<
  { readonly jobs: Service; readonly close: Effect.Effect<void> },
  JobStoreErrorOf,
  JobStore.JobStore | Scope.Scope
> =>
  Effect.gen(function*() {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const context = yield* JobManager.layer<Jobs>({ shutdownDeadline: 0, ...options, jobs }).pipe(
      Layer.provide(programs),
      Layer.provide(Layer.fresh(Pools.layer())),
      Layer.provide(liveness),
      Layer.buildWithScope(scope)
    )
    return { jobs: Context.get(context, JobManager.JobManager), close: Scope.close(scope, Exit.void) }
  })

type JobStoreErrorOf = Effect.Error<ReturnType<JobStore.JobStore["Service"]["get"]>>

const stateOf = (jobs: Service, id: Parameters<Service["get"]>[0]) =>
  Effect.map(jobs.get(id), ({ state }) => state._tag)

const contract = (name: string, layer: Layer.Layer<JobStore.JobStore, JobStoreErrorOf>) =>
  describe(`JobManager ${name}`, () => {
    const fresh = Effect.provide(Layer.fresh(layer))

    it.effect("tells of a job that runs whether its process is dead, where that can be seen", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager([Many], many(() => Effect.never))
        const { id } = yield* jobs.start(Many, undefined)
        yield* TestClock.adjust("1 second")
        const client = yield* manager([], Layer.empty, { claim: "none" }, seesDead)
        const [seen] = yield* client.jobs.overview()
        assert.deepInclude(seen, { isOwnerDead: true, progress: yield* jobs.progress(id) })
        assert.strictEqual(seen?.record.id, id)
        assert.isTrue((yield* client.jobs.status(id)).isOwnerDead)
        assert.isFalse((yield* jobs.status(id)).isOwnerDead)
        yield* jobs.pause(id)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "Paused")
        assert.isFalse((yield* client.jobs.status(id)).isOwnerDead)
        assert.deepStrictEqual(yield* client.jobs.overview({ idPrefix: `${id}x` }), [])
      }).pipe(fresh))

    it.effect("runs a job and gives its success", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager(
          [Double],
          Double.toLayer(({ n }) =>
            Effect.gen(function*() {
              const context = yield* JobContext
              yield* context.log("Info", `attempt ${context.attempt}, token ${context.token}`)
              yield* Progress.total("items", 1)
              return n * 2
            })
          )
        )
        const handle = yield* jobs.start(Double, { n: 21 })
        const events = yield* Effect.forkChild(Stream.runCollect(handle.watch))
        assert.isTrue(handle.started)
        assert.strictEqual(yield* handle.await, 42)
        const record = yield* jobs.get(handle.id)
        assert.deepStrictEqual(record.state, { _tag: "Completed", attempt: 1, tries: 0 })
        assert.deepStrictEqual(record.lease, Option.none())
        assert.deepStrictEqual(record.finishedAt, Option.some(0))
        yield* TestClock.adjust("1 second")
        const states = (yield* Fiber.join(events)).flatMap((event) =>
          event._tag === "State" ? [event.record.state._tag] : []
        )
        assert.strictEqual(states.at(-1), "Completed")
        const lines = yield* Stream.runCollect(jobs.logs(handle.id))
        assert.deepStrictEqual(lines.map(({ message }) => message).filter((_) => _.startsWith("attempt")), [
          "attempt 1, token 1"
        ])
      }).pipe(fresh))

    it.effect("gives a typed error, and the job's own reason where it died", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager(
          [Double],
          Double.toLayer(({ n }) => n === 1 ? Effect.fail(new Broken({ what: "one" })) : Effect.die(new Error("boom")))
        )
        const one = yield* jobs.start(Double, { n: 1 })
        assert.deepStrictEqual(yield* Effect.flip(one.await), new Broken({ what: "one" }))
        const two = yield* jobs.start(Double, { n: 2 })
        const error = yield* Effect.flip(two.await)
        assert.instanceOf(error, JobManager.JobNotCompleted)
        assert.strictEqual((yield* jobs.get(two.id)).state._tag, "Failed")
        assert.include(error.message, "boom")
      }).pipe(fresh))

    it.effect("says in the log why a job has failed, whatever it has failed with", () =>
      Effect.gen(function*() {
        class Silent extends Schema.TaggedError<Silent>("test/Silent")("Silent", { n: Schema.Int }) {}
        const failing = Job.make("test/Failing", {
          payload: Schema.Literals(["tagged", "plain", "dead", "odd"]),
          success: Schema.Unknown,
          error: Schema.Union([Silent, Schema.Struct({ code: Schema.Int })])
        })
        const { jobs } = yield* manager(
          [failing],
          failing.toLayer((how) =>
            how === "tagged"
              ? Effect.fail(new Silent({ n: 1 }))
              : how === "plain"
              ? Effect.fail({ code: 5 })
              : how === "dead"
              ? Effect.sync(() => new Silent({ n: 0.5 }))
              : Effect.succeed({ what: undefined })
          )
        )
        for (
          const [how, why] of [
            ["tagged", "Silent"],
            ["plain", `{"code":5}`],
            ["dead", "it died: Schema validation failed: Expected an integer\n  at [\"n\"]"],
            ["odd", "it died: its success does not match its schema: Expected JSON value"]
          ] as const
        ) {
          const { id } = yield* jobs.start(failing, how)
          yield* TestClock.adjust("1 second")
          const lines = yield* Stream.runCollect(jobs.logs(id))
          assert.strictEqual(lines.at(-1)?.message, `Failed: ${why}`)
        }
      }).pipe(fresh))

    it.effect("runs a program again as its schedule says, then gives up", () =>
      Effect.gen(function*() {
        const starts: Array<number> = []
        const Flaky = Job.make("test/Flaky", {
          error: Broken,
          retry: Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 }))
        })
        const { jobs } = yield* manager(
          [Flaky],
          Flaky.toLayer(() =>
            Effect.clockWith((clock) =>
              Effect.suspend(() => {
                starts.push(clock.currentTimeMillisUnsafe())
                return Effect.fail(new Broken({ what: `try ${starts.length}` }))
              })
            )
          )
        )
        const handle = yield* jobs.start(Flaky, undefined)
        yield* settle
        yield* TestClock.adjust("500 millis")
        assert.deepStrictEqual((yield* jobs.get(handle.id)).state, {
          _tag: "Queued",
          attempt: 1,
          tries: 1,
          failedAt: 0
        })
        yield* TestClock.adjust("1 minute")
        assert.deepStrictEqual(yield* Effect.flip(handle.await), new Broken({ what: "try 4" }))
        assert.deepStrictEqual(starts, [0, 1000, 3000, 7000])
        yield* jobs.retry(handle.id)
        yield* settle
        yield* TestClock.adjust("500 millis")
        assert.deepStrictEqual((yield* jobs.get(handle.id)).state, {
          _tag: "Queued",
          attempt: 2,
          tries: 1,
          failedAt: 60_500
        })
      }).pipe(fresh))

    it.effect("fails a job that takes too long", () =>
      Effect.gen(function*() {
        const Slow = Job.make("test/Slow", { timeout: "1 minute" })
        const { jobs } = yield* manager([Slow], Slow.toLayer(() => Effect.never))
        const { id } = yield* jobs.start(Slow, undefined)
        yield* settle
        yield* TestClock.adjust("59 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "Running")
        // The grace, and what fan-outs get to record what they did.
        yield* TestClock.adjust("3 seconds")
        const record = yield* jobs.get(id)
        assert.strictEqual(record.state._tag, "Failed")
        assert.deepStrictEqual(record.exit, Option.some({ _tag: "Timeout", millis: 60_000 }))
      }).pipe(fresh))

    it.effect("pauses, resumes and cancels a job that another process runs", () =>
      Effect.gen(function*() {
        const cleaned: Array<string> = []
        const { jobs } = yield* manager([Patient], patient((id) => cleaned.push(id)))
        const { jobs: other } = yield* manager([Patient], patient(() => {}), { claim: "none" })
        const { id } = yield* jobs.start(Patient, undefined)
        yield* TestClock.adjust(100)
        yield* other.pause(id)
        assert.strictEqual(yield* stateOf(other, id), "Running")
        yield* TestClock.adjust(250)
        const paused = yield* other.get(id)
        assert.deepStrictEqual(paused.state, { _tag: "Paused", attempt: 1, tries: 0, by: "person" })
        assert.deepStrictEqual(paused.request, Option.none())
        yield* other.pause(id)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* stateOf(other, id), "Paused")
        yield* other.resume(id)
        yield* TestClock.adjust(250)
        assert.strictEqual(yield* stateOf(other, id), "Running")
        assert.strictEqual((yield* other.get(id)).token, 2)
        yield* other.cancel(id)
        yield* TestClock.adjust(250)
        assert.strictEqual(yield* stateOf(other, id), "Cancelled")
        assert.deepStrictEqual(cleaned, [id])
        const refused = yield* Effect.flip(other.resume(id))
        assert.strictEqual(refused._tag, "JobManagerError")
        const handle = yield* other.attach(Patient, id)
        assert.include((yield* Effect.flip(handle.await)).message, "cancelled")
      }).pipe(fresh))

    it.effect("queues a job again whose pause was taken back before it had stopped", () =>
      Effect.gen(function*() {
        const Deaf = Job.make("test/Deaf", {})
        const { jobs } = yield* manager([Deaf], Deaf.toLayer(() => Effect.never))
        const { id } = yield* jobs.start(Deaf, undefined)
        yield* TestClock.adjust(100)
        yield* jobs.pause(id)
        yield* TestClock.adjust(500)
        yield* jobs.resume(id)
        yield* TestClock.adjust("3 seconds")
        const record = yield* jobs.get(id)
        assert.strictEqual(record.state._tag, "Running")
        assert.strictEqual(record.token, 2)
      }).pipe(fresh))

    it.effect("stops a deaf program after its grace, and nothing of it runs afterwards", () =>
      Effect.gen(function*() {
        const stopped: Array<Option.Option<Interrupter.Reason>> = []
        const Deaf = Job.make("test/Deaf", {})
        const { jobs } = yield* manager(
          [Deaf],
          Deaf.toLayer(() =>
            Effect.onInterrupt(Effect.never, () => Effect.map(Interrupter.reason, (reason) => stopped.push(reason)))
          )
        )
        const { id } = yield* jobs.start(Deaf, undefined)
        yield* TestClock.adjust(100)
        yield* jobs.cancel(id)
        yield* TestClock.adjust("1900 millis")
        assert.deepStrictEqual(stopped, [])
        yield* TestClock.adjust("300 millis")
        assert.deepStrictEqual(stopped, [Option.some("Cancel")])
        assert.strictEqual(yield* stateOf(jobs, id), "Cancelled")
      }).pipe(fresh))

    it.effect("lets a job pause itself, and log why", () =>
      Effect.gen(function*() {
        const Full = Job.make("test/Full", {})
        const { jobs } = yield* manager(
          [Full],
          Full.toLayer(() => Effect.flatMap(JobContext, (job) => job.pause("printer", "no paper is left")))
        )
        const { id } = yield* jobs.start(Full, undefined)
        yield* settle
        assert.deepStrictEqual((yield* jobs.get(id)).state, { _tag: "Paused", attempt: 1, tries: 0, by: "printer" })
        const lines = yield* Stream.runCollect(jobs.logs(id))
        assert.isTrue(lines.some(({ level, message }) => level === "Warning" && message === "no paper is left"))
      }).pipe(fresh))

    it.effect("does not let a job pause itself by nothing, or in the name of others", () =>
      Effect.gen(function*() {
        const Posing = Job.make("test/Posing", { payload: Schema.String })
        const { jobs } = yield* manager(
          [Posing],
          Posing.toLayer((by) => Effect.flatMap(JobContext, (job) => job.pause(by, "no paper is left")))
        )
        for (const by of ["", "person", "parent"]) {
          const { id } = yield* jobs.start(Posing, by)
          yield* settle
          const { exit, state } = yield* jobs.get(id)
          assert.strictEqual(state._tag, "Failed")
          assert.include(Option.getOrThrow(exit), { message: `A job can't pause itself by "${by}"` })
        }
      }).pipe(fresh))

    it.effect("pauses where a task meets what is no failure of its own, and runs that again when it is resumed", () =>
      Effect.gen(function*() {
        const ran: Array<number> = []
        let isFull = true
        const Writing = Job.make("test/Writing", { success: Progress.Tally })
        const handlers = WriteTasks.toLayer({
          "test/Write": ({ n }) =>
            Effect.suspend(() => {
              ran.push(n)
              if (n === 3) return Effect.fail(new WriteFailed({ code: "EACCES" }))
              return isFull && n >= 5 ? Effect.fail(new WriteFailed({ code: "ENOSPC" })) : Effect.void
            })
        })
        const pauseOn = ({ code }: WriteFailed) =>
          code === "ENOSPC" ? { by: "disk", message: "no space is left" } as const : undefined
        const { jobs } = yield* manager(
          [Writing],
          Layer.provide(
            Writing.toLayer(() =>
              TaskDispatcher.use((_) => _.fanOut("numbers", Write, numbers(8), { concurrency: 3, pauseOn }))
            ),
            handlers
          )
        )
        const { id } = yield* jobs.start(Writing, undefined)
        yield* settle
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual((yield* jobs.get(id)).state, { _tag: "Paused", attempt: 1, tries: 0, by: "disk" })
        const { tally } = yield* jobs.progress(id)
        assert.deepStrictEqual([tally.done, tally.failed], [4, 1])
        const lines = yield* Stream.runCollect(jobs.logs(id))
        assert.lengthOf(lines.filter(({ message }) => message === "no space is left"), 1)
        // Resumed too early it is paused again.
        yield* jobs.resume(id)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "Paused")
        isFull = false
        ran.length = 0
        yield* jobs.resume(id)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "CompletedWithErrors")
        assert.deepStrictEqual(ran.toSorted((a, b) => a - b), [5, 6, 7])
      }).pipe(fresh))

    it.effect("takes nothing more while it is still being logged why it is paused", () =>
      Effect.gen(function*() {
        let ran = 0
        const Writing = Job.make("test/Writing", { success: Progress.Tally })
        const handlers = WriteTasks.toLayer({
          "test/Write": () =>
            Effect.suspend(() => {
              ran++
              return Effect.delay(Effect.fail(new WriteFailed({ code: "ENOSPC" })), "1 millis")
            })
        })
        const pauseOn = () => ({ by: "disk", message: "no space is left" }) as const
        const program = TaskDispatcher.use((_) =>
          _.fanOut("numbers", Write, numbers(5000), { concurrency: 8, pauseOn })
        )
        const { jobs } = yield* manager([Writing], Layer.provide(Writing.toLayer(() => program), handlers)).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            log: (...args: Parameters<typeof store.log>) => Effect.delay(store.log(...args), "200 millis")
          }))
        )
        const { id } = yield* jobs.start(Writing, undefined)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "Paused")
        assert.strictEqual(ran, 8)
      }).pipe(fresh))

    it.effect("takes over what was not heard of for a lease, and refuses its late writes", () =>
      Effect.gen(function*() {
        const frozen = { now: false }
        const { jobs: first } = yield* manager([Patient], patient(() => {})).pipe(
          Effect.updateService(JobStore.JobStore, (store) => freezable(store, frozen))
        )
        const { id } = yield* first.start(Patient, undefined)
        yield* TestClock.adjust("20 seconds")
        const { jobs: second } = yield* manager([Patient], patient(() => {}))
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* second.get(id)).token, 1)
        frozen.now = true
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual((yield* second.get(id)).token, 1)
        yield* TestClock.adjust("12 seconds")
        const record = yield* second.get(id)
        assert.strictEqual(record.token, 2)
        assert.strictEqual(record.ownersLost, 1)
        frozen.now = false
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* second.get(id)).token, 2)
        const store = yield* JobStore.JobStore
        const late = yield* Effect.flip(store.saveOwnCheckpoint(id, { token: 1, name: "late", checkpoint: "{}" }))
        assert.strictEqual(late.reason._tag, "Fenced")
      }).pipe(fresh))

    it.effect("stops what it runs once its lease is over, also where the store does not answer", () =>
      Effect.gen(function*() {
        const { ends, frozen } = yield* untilLost((store) => store)
        yield* TestClock.adjust(100)
        frozen.now = true
        yield* TestClock.adjust("7 seconds")
        assert.deepStrictEqual(ends, [])
        yield* TestClock.adjust("1 second")
        assert.strictEqual(ends.length, 1)
      }).pipe(fresh))

    it.effect("hands a job back without blame where the store did not answer, and goes on with it", () =>
      Effect.gen(function*() {
        const { frozen, id } = yield* untilLost((store) => store)
        const store = yield* JobStore.JobStore
        yield* TestClock.adjust("1 second")
        for (let times = 1; times < 8; times++) {
          frozen.now = true
          yield* TestClock.adjust("10 seconds")
          assert.strictEqual((yield* store.get(id)).token, times)
          frozen.now = false
          yield* TestClock.adjust("12 seconds")
          const { ownersLost, state, token } = yield* store.get(id)
          assert.deepStrictEqual([state._tag, token, ownersLost], ["Running", times + 1, 0])
        }
      }).pipe(fresh))

    it.effect("counts its lease from when it asked for it, however late that is answered", () =>
      Effect.gen(function*() {
        const { ends, frozen } = yield* untilLost((store) => ({
          ...store,
          beat: (...asked) => Effect.delay(store.beat(...asked), "2 seconds")
        }))
        // It asks after five seconds.
        yield* TestClock.adjust("9 seconds")
        frozen.now = true
        yield* TestClock.adjust("3 seconds")
        assert.deepStrictEqual(ends, [])
        yield* TestClock.adjust("1500 millis")
        assert.strictEqual(ends.length, 1)
      }).pipe(fresh))

    it.effect("records no end of a job that is somebody else's by then", () =>
      Effect.gen(function*() {
        const goOn = yield* Deferred.make<void>()
        const { jobs } = yield* manager([Patient], Patient.toLayer(() => Effect.as(Deferred.await(goOn), "done")))
        const { id } = yield* jobs.start(Patient, undefined)
        yield* settle
        const store = yield* JobStore.JobStore
        const record = yield* store.get(id)
        yield* store.put(record.with(Records.owned(record.token + 1)), "claimed")
        yield* Deferred.succeed(goOn, undefined)
        yield* settle
        assert.deepStrictEqual(yield* stateOf(jobs, id), "Running")
      }).pipe(fresh))

    it.effect("takes nothing over that somebody else has claimed since it was seen", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager([Patient], patient(() => {}))
        const { id } = yield* jobs.start(Patient, undefined)
        yield* TestClock.adjust(100)
        yield* manager([Patient], patient(() => {}), {}, seesDead).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            look: (now) =>
              Effect.map(store.look(now), (look) => ({
                ...look,
                held: look.held.map((job) => ({
                  ...job,
                  lease: Option.map(job.lease, (lease) => ({ ...lease, token: lease.token - 1 }))
                }))
              }))
          }))
        )
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* jobs.get(id)).token, 1)
      }).pipe(fresh))

    /** A job of another owner, and a store in which that renews its lease once, before somebody else's change. */
    const renewedLate = Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const job = Records.job("owned", { payload: null }).with({ name: Patient.name, version: Patient.version })
      const { id } = yield* store.put((yield* store.insert(job)).with(Records.owned(1)), "claimed")
      const renewals = [store.beat(id, 1)]
      const late: typeof store = {
        ...store,
        put: (...change) => Effect.andThen(renewals.pop() ?? Effect.void, store.put(...change))
      }
      return { id, renewals, store: late }
    })

    it.effect("leaves a job whose payload does not fit, and says so, until its version is raised", () =>
      Effect.gen(function*() {
        const Before = Job.make("test/Versioned", { payload: Schema.Struct({ n: Schema.Number }) })
        const { jobs: client } = yield* manager([Before], Before.toLayer(() => Effect.void), { claim: "none" })
        const [job, given] = [yield* client.start(Before, { n: 1 }), yield* client.start(Before, { n: 2 })]
        const payload = Schema.Struct({ n: Schema.Number, unit: Schema.String })
        const migrations = { 1: { payload: () => ({ n: 1, unit: "piece" }) } }
        const lines: Array<string> = []
        const log = Logger.make(({ message }) => void lines.push(String(message)))

        const Forgotten = Job.make("test/Versioned", { payload })
        const { jobs: forgetful } = yield* manager([Forgotten], Forgotten.toLayer(() => Effect.void)).pipe(
          Effect.tap(() => TestClock.adjust("1 second")),
          Effect.provide(Logger.layer([log]))
        )
        yield* forgetful.cancel(given.id)
        yield* TestClock.adjust("1 second")
        yield* forgetful.shutdown
        const states = [yield* stateOf(client, job.id), yield* stateOf(client, given.id)]
        const After = Job.make("test/Versioned", { payload, version: 2, migrations })
        yield* manager([After], After.toLayer(() => Effect.void))
        yield* settle

        assert.deepStrictEqual(states, ["Queued", "Cancelled"])
        assert.strictEqual(lines.length, 2)
        assert.match(
          lines.join(),
          /left as it is: its payload does not match version 1 of "test\/Versioned": Missing key/
        )
        assert.match(lines.join(), /raise `version`/)
        assert.strictEqual(yield* stateOf(client, job.id), "Completed")
      }).pipe(fresh))

    it.effect("takes nothing over whose owner has renewed its lease since it was seen, and gives it all of that", () =>
      Effect.gen(function*() {
        const { id, renewals, store } = yield* renewedLate
        const { jobs } = yield* Effect.provideService(manager([Patient], patient(() => {})), JobStore.JobStore, store)
        yield* TestClock.adjust("29 seconds")
        assert.deepStrictEqual([renewals, (yield* jobs.get(id)).token], [[], 1])
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual((yield* jobs.get(id)).token, 2)
      }).pipe(fresh))

    it.effect("gives each owner the time of a lease, also one that has not beaten yet", () =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        const job = Records.job("owned", { payload: null }).with({ name: Patient.name, version: Patient.version })
        const owned = yield* store.put((yield* store.insert(job)).with(Records.owned(1)), "claimed")
        const { jobs } = yield* manager([Patient], patient(() => {}))
        yield* TestClock.adjust("10 seconds")
        yield* store.put(owned.with(Records.owned(2)), "claimed")
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual((yield* jobs.get(owned.id)).token, 2)
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual((yield* jobs.get(owned.id)).token, 3)
      }).pipe(fresh))

    it.effect("does what was asked of an owner that was lost, without running the program", () =>
      Effect.gen(function*() {
        const frozen = { now: false }
        const cleaned: Array<string> = []
        const { jobs: first } = yield* manager([Patient], patient(() => {})).pipe(
          Effect.updateService(JobStore.JobStore, (store) => freezable(store, frozen))
        )
        const paused = yield* first.start(Patient, undefined)
        const cancelled = yield* first.start(Patient, undefined)
        yield* TestClock.adjust(100)
        frozen.now = true
        const { jobs } = yield* manager([Patient], patient((id) => cleaned.push(id)))
        yield* jobs.pause(paused.id)
        yield* jobs.cancel(cancelled.id)
        yield* TestClock.adjust("16 seconds")
        assert.strictEqual(yield* stateOf(jobs, paused.id), "Paused")
        assert.strictEqual(yield* stateOf(jobs, cancelled.id), "Cancelled")
        assert.deepStrictEqual(cleaned, [cancelled.id])
      }).pipe(fresh))

    it.effect("cleans up after a job that has failed and is given up, which can't be retried any more", () =>
      Effect.gen(function*() {
        const cleaned: Array<string> = []
        const { jobs } = yield* manager(
          [Patient],
          Patient.toLayer(() => Effect.die("a bug"), { onCancel: (_, id) => Effect.sync(() => cleaned.push(id)) })
        )
        const handle = yield* jobs.start(Patient, undefined)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual([yield* stateOf(jobs, handle.id), cleaned], ["Failed", []])
        yield* jobs.cancel(handle.id)
        yield* settle
        // A second time nothing is done, and nothing fails.
        yield* jobs.cancel(handle.id)
        yield* settle
        assert.deepStrictEqual([yield* stateOf(jobs, handle.id), cleaned], ["Cancelled", [handle.id]])
        assert.match((yield* Effect.flip(handle.await)).message, /it was cancelled/)
        assert.match(String(yield* Effect.flip(jobs.retry(handle.id))), /Cancelled/)
      }).pipe(fresh))

    it.effect("ends a job without its program where no live process runs it, and frees its key", () =>
      Effect.gen(function*() {
        const frozen = { now: false }
        const { jobs: owner } = yield* manager([Double], Double.toLayer(() => Effect.never)).pipe(
          Effect.updateService(JobStore.JobStore, (store) => freezable(store, frozen))
        )
        const running = yield* owner.start(Double, { n: 1 })
        yield* TestClock.adjust("1 second")
        const { jobs } = yield* manager([], Layer.empty)
        const refused = yield* Effect.forkChild(Effect.flip(jobs.abandon(running.id)))
        yield* TestClock.adjust("6 seconds")
        assert.match((yield* Fiber.join(refused)).message, /is Running: it can't be abandoned: its process is alive/)

        frozen.now = true
        const ended = yield* Effect.forkChild(jobs.abandon(running.id))
        yield* TestClock.adjust("14 seconds")
        assert.strictEqual(yield* stateOf(jobs, running.id), "Running")
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(ended)
        assert.strictEqual(yield* stateOf(jobs, running.id), "Cancelled")
        assert.match((yield* Effect.flip(jobs.abandon(running.id))).message, /is Cancelled/)

        // An owner that lives all the same stops, and records nothing.
        frozen.now = false
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* stateOf(jobs, running.id), "Cancelled")
        const again = yield* owner.start(Double, { n: 1 })
        assert.isTrue(again.started)
      }).pipe(fresh))

    it.effect("does not end a job without its program whose owner has renewed its lease since it was seen", () =>
      Effect.gen(function*() {
        const { id, renewals, store } = yield* renewedLate
        const { jobs } = yield* Effect.provideService(manager([], Layer.empty), JobStore.JobStore, store)
        const refused = yield* Effect.forkChild(Effect.flip(jobs.abandon(id)))
        yield* TestClock.adjust("16 seconds")
        assert.match((yield* Fiber.join(refused)).message, /its process is alive/)
        assert.deepStrictEqual([renewals, yield* stateOf(jobs, id)], [[], "Running"])
      }).pipe(fresh))

    it.effect("ends a job at once that waits for its program to clean up", () =>
      Effect.gen(function*() {
        const { close, jobs } = yield* manager([Patient], patient(() => {}))
        const { id } = yield* jobs.start(Patient, undefined)
        yield* TestClock.adjust("1 second")
        yield* jobs.pause(id)
        yield* TestClock.adjust("1 second")
        yield* close
        const { jobs: client } = yield* manager([], Layer.empty)
        yield* client.cancel(id)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* stateOf(client, id), "Queued")
        yield* client.abandon(id)
        assert.strictEqual(yield* stateOf(client, id), "Cancelled")
        assert.strictEqual(yield* client.prune(Number.POSITIVE_INFINITY), 1)
      }).pipe(fresh))

    it.effect("takes over from a dead owner at once, and gives up after five in a row", () =>
      Effect.gen(function*() {
        const frozen = { now: false }
        const { jobs: first } = yield* manager([Patient], patient(() => {})).pipe(
          Effect.updateService(JobStore.JobStore, (store) => freezable(store, frozen))
        )
        const { id } = yield* first.start(Patient, undefined)
        yield* TestClock.adjust(100)
        frozen.now = true
        for (let lost = 1; lost < 5; lost++) {
          const gone = { now: false }
          const { jobs } = yield* manager([Patient], patient(() => {}), {}, seesDead).pipe(
            Effect.updateService(JobStore.JobStore, (store) => freezable(store, gone))
          )
          yield* TestClock.adjust(450)
          const record = yield* jobs.get(id)
          assert.deepStrictEqual([record.token, record.ownersLost, record.state._tag], [lost + 1, lost, "Running"])
          gone.now = true
        }
        const { jobs: last } = yield* manager([Patient], patient(() => {}), {}, seesDead)
        yield* TestClock.adjust(450)
        const record = yield* last.get(id)
        assert.strictEqual(record.state._tag, "Failed")
        assert.deepStrictEqual(record.exit, Option.some({ _tag: "OwnerLost", times: 5 }))
        yield* last.retry(id)
        yield* TestClock.adjust(450)
        const again = yield* last.get(id)
        assert.deepStrictEqual([again.state._tag, again.ownersLost], ["Running", 0])
      }).pipe(fresh))

    it.effect("does not give up a long task that gets further with every owner", () =>
      Effect.gen(function*() {
        const step = TaskCheckpoint.make(Schema.Number)
        const steps: Array<number> = []
        const programs = Many.toLayer(() =>
          TaskDispatcher.use((_) =>
            _.fanOut("long", Item, (after) =>
              Option.isSome(after) ? Stream.empty : Stream.make({ _tag: "Item", cursor: "0", payload: { n: 0 } }))
          ).pipe(
            Effect.map(({ done }) =>
              done
            )
          )
        ).pipe(Layer.provide(Tasks.toLayer({
          "test/Item": () =>
            Effect.gen(function*() {
              const next = Option.getOrElse(yield* step.get, () =>
                0) + 1
              steps.push(next)
              yield* step.save(next)
              return yield* Effect.never
            })
        })))
        const owner = Effect.fnUntraced(function*() {
          const frozen = { now: false }
          const { jobs } = yield* manager([Many], programs, {}, seesDead).pipe(
            Effect.updateService(JobStore.JobStore, (store) => freezable(store, frozen))
          )
          return { jobs, frozen }
        })
        const first = yield* owner()
        const { id } = yield* first.jobs.start(Many, undefined)
        let last = first
        for (let lost = 0; lost < 8; lost++) {
          yield* TestClock.adjust(700)
          last.frozen.now = true
          last = yield* owner()
        }
        yield* TestClock.adjust(700)

        const record = yield* last.jobs.get(id)

        assert.deepStrictEqual([record.state._tag, record.token, record.ownersLost], ["Running", 9, 0])
        assert.deepStrictEqual(steps, [1, 2, 3, 4, 5, 6, 7, 8, 9])
      }).pipe(fresh))

    it.effect("gives the active job to who starts the same again, and refuses what would meet it", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager([Double], Double.toLayer(() => Effect.never), { claim: "none" })
        const one = yield* jobs.start(Double, { n: 1 })
        const again = yield* jobs.start(Double, { n: 1 })
        assert.deepStrictEqual([again.id, again.started], [one.id, false])
        const error = yield* Effect.flip(jobs.start(Double, { n: 11 }))
        assert.strictEqual(error.reason._tag, "ActiveJobDiffers")
        yield* jobs.cancel(one.id)
        assert.isTrue((yield* jobs.start(Double, { n: 11 })).started)
      }).pipe(fresh))

    it.effect("says what does not fit another definition of a job, and gives none by another name", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager(
          [Double],
          Double.toLayer(({ n }) => n > 0 ? Effect.succeed(n * 2) : Effect.fail(new Broken({ what: "too small" })))
        )
        const Other = Job.make(Double.name, { success: Schema.String, error: Schema.Number })
        const whyNot = Effect.fnUntraced(function*(n: number) {
          const { id } = yield* jobs.start(Double, { n })
          yield* TestClock.adjust(100)
          const { message, reason } = yield* Effect.flip(jobs.attach(Patient, id))
          assert.strictEqual(reason._tag, "JobNotFound")
          assert.strictEqual(message, `The job with the id "${id}" is a "test/Double", and not a "test/Patient"`)
          const other = yield* jobs.attach(Other, id)
          return String(yield* Effect.flip(other.await))
        })
        assert.match(yield* whyNot(1), /its success can't be read: Expected string/)
        assert.match(yield* whyNot(-1), /is Failed: Broken$/)
      }).pipe(fresh))

    it.effect("resumes nothing that is about to be cancelled", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager([Patient], patient(() => {}))
        const { id } = yield* jobs.start(Patient, undefined)
        yield* TestClock.adjust(20)
        yield* jobs.cancel(id)
        assert.match(String(yield* Effect.flip(jobs.resume(id))), /it is about to be cancelled/)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* stateOf(jobs, id), "Cancelled")
      }).pipe(fresh))

    it.effect("takes no two jobs of one name", () =>
      Effect.gen(function*() {
        const other = Job.make(Double.name, {})
        const made = yield* Effect.exit(manager([Double, other], Double.toLayer(({ n }) => Effect.succeed(n))))
        assert.match(String(made), /Two jobs have the name "test\/Double"/)
      }).pipe(fresh))

    it.effect("leaves alone what it does not know, and what a newer version has stored", () =>
      Effect.gen(function*() {
        const V1 = Job.make("test/Versions", { payload: Schema.Struct({ a: Schema.Number }), success: Schema.Number })
        const V2 = Job.make("test/Versions", {
          version: 2,
          payload: Schema.Struct({ b: Schema.Number }),
          success: Schema.Number,
          migrations: { 1: { payload: (old) => ({ b: Schema.decodeUnknownSync(V1.payload)(old).a + 1 }) } }
        })
        const V3 = Job.make("test/Versions", { version: 3, payload: Schema.Struct({ c: Schema.Number }) })
        const Unknown = Job.make("test/Unknown", {})
        const one = yield* manager([V1], V1.toLayer(({ a }) => Effect.succeed(a)))
        const three = yield* manager([V3], V3.toLayer(() => Effect.void))
        const unknown = yield* one.jobs.start(Unknown, undefined)
        const newer = yield* one.jobs.start(V2, { b: 7 })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* one.jobs.get(unknown.id)).updatedAt, 0)
        // Neither the older one nor the newer one, which knows no way from version 2, touches it.
        assert.strictEqual((yield* one.jobs.get(newer.id)).updatedAt, 0)
        yield* one.close
        const older = yield* three.jobs.start(V1, { a: 1 })
        const two = yield* manager([V2], V2.toLayer(({ b }) => Effect.succeed(b)))
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* newer.await, 7)
        assert.strictEqual(yield* older.await, 2)
        const lifted = yield* two.jobs.get(older.id)
        assert.deepStrictEqual([lifted.version, lifted.payload], [2, { b: 2 }])
      }).pipe(fresh))

    it.effect("goes on with a fan-out under the name that a newer version gives it, rows and progress included", () =>
      Effect.gen(function*() {
        const runs: Array<number> = []
        const program = (name: string, isWell: boolean) =>
          Effect.gen(function*() {
            const dispatcher = yield* TaskDispatcher
            const tally = yield* dispatcher.fanOut(name, Item, (after) =>
              Stream.range(
                Number(Option.getOrElse(after, () => -1)) + 1,
                9
              ).pipe(
                Stream.map((n) => ({ _tag: "Item" as const, cursor: `${n}`, payload: { n } }))
              )).pipe(
                Effect.provide(Tasks.toLayer({
                  "test/Item": ({ n }) =>
                    Effect.andThen(
                      Effect.sync(() => runs.push(n)),
                      n % 3 === 0 && !isWell ? Effect.fail(new Broken({ what: `${n}` })) : Effect.void
                    )
                }))
              )
            return tally.done
          })
        const V1 = Job.make("test/Renamed", { success: Schema.Number })
        const V2 = Job.make("test/Renamed", {
          version: 3,
          success: Schema.Number,
          migrations: { 1: { fanOuts: { first: { name: "second" } } }, 2: { fanOuts: { second: { name: "third" } } } }
        })
        const one = yield* manager([V1], V1.toLayer(() => program("first", false)))
        const { id } = yield* one.jobs.start(V1, undefined)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* stateOf(one.jobs, id), "CompletedWithErrors")
        yield* one.close
        runs.length = 0

        const { jobs } = yield* manager([V2], V2.toLayer(() => program("third", true)))
        yield* jobs.retry(id)
        yield* TestClock.adjust("2 seconds")

        assert.deepStrictEqual(runs, [0, 3, 6, 9])
        assert.strictEqual(yield* stateOf(jobs, id), "Completed")
        const { fanOuts, tally } = yield* jobs.progress(id)
        assert.deepStrictEqual([Object.keys(fanOuts), tally.done, tally.failed], [["third"], 10, 0])
        const handle = yield* jobs.attach(V2, id)
        assert.strictEqual(yield* handle.await, 10)
      }).pipe(fresh))

    it.effect("lifts what a fan-out has stored from version to version: cursors, and payloads that run again", () =>
      Effect.gen(function*() {
        const decodeOld = Schema.decodeUnknownSync(Schema.Struct({ n: Schema.Number }))
        const decodeNamed = Schema.decodeUnknownSync(Schema.Struct({ name: Schema.String }))
        const V1 = Job.make("test/Lifted", { success: Schema.Number })
        const V3 = Job.make("test/Lifted", {
          version: 3,
          success: Schema.Number,
          migrations: {
            1: {
              fanOuts: {
                all: {
                  cursor: (cursor) => `${cursor}a`,
                  payload: (old) => ({ name: `${decodeOld(old).n}a` })
                }
              }
            },
            2: {
              fanOuts: {
                all: {
                  cursor: (cursor) => `${cursor}b`,
                  payload: (old) => ({ name: `${decodeNamed(old).name}b` })
                }
              }
            }
          }
        })
        const done = Effect.flatMap((tally: Progress.Tally) => Effect.succeed(tally.done))
        const before = TaskDispatcher.use((_) => _.fanOut("all", Item, numbers(10))).pipe(
          Effect.provide(Tasks.toLayer({
            "test/Item": ({ n }) =>
              n === 3 ? Effect.fail(new Broken({ what: "3" })) : n === 5 ? Effect.never : Effect.void
          })),
          done
        )
        const one = yield* manager([V1], V1.toLayer(() => before))
        const { id } = yield* one.jobs.start(V1, undefined)
        yield* TestClock.adjust("2 seconds")
        yield* one.close

        const ran: Array<string> = []
        const opened: Array<string | undefined> = []
        const after = TaskDispatcher.use((_) =>
          _.fanOut("all", Named, (cursor) => {
            opened.push(Option.getOrUndefined(cursor))
            return Stream.empty
          })
        ).pipe(
          Effect.provide(Names.toLayer({ "test/Named": ({ name }) => Effect.sync(() => void ran.push(name)) })),
          done
        )
        const { jobs } = yield* manager([V3], V3.toLayer(() => after))
        yield* TestClock.adjust("17 seconds")
        assert.deepStrictEqual([ran, opened], [["5ab"], ["9ab"]])
        const [row] = yield* Stream.runCollect(jobs.outcomes(id))
        assert.strictEqual(yield* stateOf(jobs, id), "CompletedWithErrors")
        assert.strictEqual(row?.key, "item 3")
        yield* jobs.retry(id)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(ran, ["5ab", "3ab"])
        assert.strictEqual((yield* jobs.progress(id)).tally.done, 10)
      }).pipe(fresh))

    it.effect("keeps a program's own checkpoint apart from any fan-out, and lifts it, to null too", () =>
      Effect.gen(function*() {
        const own = Checkpoint.make("own", Schema.NullOr(Schema.Number))
        const fanOut = TaskDispatcher.use((_) => _.fanOut("checkpoint:own", Item, () => Stream.empty)).pipe(
          Effect.provide(Tasks.toLayer({ "test/Item": () => Effect.void }))
        )
        const V1 = Job.make("test/Own", { error: Broken })
        const V2 = Job.make("test/Own", { version: 2, migrations: { 1: { checkpoints: { own: () => null } } } })
        const one = yield* manager(
          [V1],
          V1.toLayer(() =>
            own.save(5).pipe(Effect.andThen(fanOut), Effect.andThen(Effect.fail(new Broken({ what: "later" }))))
          )
        )
        const { id } = yield* one.jobs.start(V1, undefined)
        yield* TestClock.adjust("1 second")
        yield* one.close
        const seen: Array<unknown> = []
        const { jobs } = yield* manager(
          [V2],
          V2.toLayer(() =>
            Effect.andThen(fanOut, own.get).pipe(
              Effect.map((value) => seen.push(value)),
              Effect.catchTag("CheckpointUnreadable", (error) => Effect.die(error)),
              Effect.asVoid
            )
          )
        )

        yield* jobs.retry(id)
        yield* TestClock.adjust("1 second")

        assert.deepStrictEqual(seen, [Option.some(null)])
        assert.strictEqual(yield* stateOf(jobs, id), "Completed")
      }).pipe(fresh))

    it.effect("says what a program has saved in another shape", () =>
      Effect.gen(function*() {
        const [before, after] = [Checkpoint.make("own", Schema.Number), Checkpoint.make("own", Schema.String)]
        const Own = Job.make("test/Reshaped", { success: Schema.String })
        const read = Effect.andThen(before.save(5), Effect.flip(after.get))
        const { jobs } = yield* manager(
          [Own],
          Own.toLayer(() => Effect.orDie(Effect.map(read, (error) => error.message)))
        )
        const { await: result } = yield* jobs.start(Own, undefined)
        assert.match(yield* result, /^Checkpoint "own", stored by version 1 of its job, can't be read: Expected string/)
      }).pipe(fresh))

    it.effect("gives what cleans up after a job what its program has saved, lifted", () =>
      Effect.gen(function*() {
        const [own, none] = [Checkpoint.make("own", Schema.Number), Checkpoint.make("none", Schema.Number)]
        const V1 = Job.make("test/Left", {})
        const V2 = Job.make("test/Left", { version: 2, migrations: { 1: { checkpoints: { own: () => 6 } } } })
        const one = yield* manager(
          [V1],
          V1.toLayer(() =>
            Effect.andThen(own.save(5), Effect.flatMap(JobContext, (job) => job.pause("disk", "it is full")))
          )
        )
        const { id } = yield* one.jobs.start(V1, undefined)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* stateOf(one.jobs, id), "Paused")
        yield* one.close
        const seen: Array<unknown> = []
        const { jobs } = yield* manager(
          [V2],
          V2.toLayer(() => Effect.void, {
            onCancel: (_, __, saved) =>
              Effect.ignore(Effect.map(Effect.all([saved(own), saved(none)]), (values) => seen.push(...values)))
          })
        )

        yield* jobs.cancel(id)
        yield* settle

        assert.deepStrictEqual(seen, [Option.some(6), Option.none()])
        assert.strictEqual(yield* stateOf(jobs, id), "Cancelled")
      }).pipe(fresh))

    it.effect("hands back what runs when it shuts down, and another goes on", () =>
      Effect.gen(function*() {
        const first = yield* manager([Patient], patient(() => {}), { shutdownDeadline: "5 seconds" })
        const { id } = yield* first.jobs.start(Patient, undefined)
        yield* TestClock.adjust(100)
        const closing = yield* Effect.forkChild(first.close)
        yield* TestClock.adjust(60)
        yield* Fiber.join(closing)
        const record = yield* first.jobs.get(id)
        assert.deepStrictEqual([record.state._tag, record.ownersLost, record.lease], ["Queued", 0, Option.none()])
        assert.strictEqual((yield* Effect.flip(first.jobs.start(Patient, undefined)))._tag, "JobManagerError")
        const second = yield* manager([Patient], patient(() => {}))
        yield* settle
        assert.strictEqual(yield* stateOf(second.jobs, id), "Running")
      }).pipe(fresh))

    it.effect("shuts down within its deadline, also while it claims from a store that does not answer", () =>
      Effect.gen(function*() {
        const frozen = { now: true }
        const { jobs } = yield* manager([Patient], patient(() => {}), { shutdownDeadline: 1000 }).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({ ...store, put: freezable(store, frozen).put }))
        )
        yield* jobs.start(Patient, undefined)
        yield* TestClock.adjust("1 second")

        const shutting = yield* Effect.forkChild(jobs.shutdown)
        yield* TestClock.adjust("1 second")

        const ended = shutting.pollUnsafe()
        frozen.now = false
        yield* Effect.forkChild(jobs.shutdown)
        yield* TestClock.adjust("1 second")
        assert.isDefined(ended)
      }).pipe(fresh))

    it.effect("names what does not fit: a payload, a limit, a priority, a program's checkpoint", () =>
      Effect.gen(function*() {
        const Saving = Job.make("test/Saving", {})
        const Whole = Job.make("test/Whole", { payload: Schema.Int })
        const { jobs } = yield* manager(
          [Saving, Patient],
          Layer.merge(Saving.toLayer(() => Checkpoint.make("page", Schema.Int).save(0.5)), patient(() => {}))
        )
        const dies = (effect: Effect.Effect<unknown, unknown>) =>
          Effect.map(Effect.exit(effect), (exit) => Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "lives")
        const whole = yield* dies(jobs.start(Whole, 1.5))
        assert.strictEqual(
          whole,
          `Error: The payload of a job "test/Whole" does not match its schema: Expected an integer`
        )
        const { id } = yield* jobs.start(Patient, undefined)
        const concurrency = /greater than or equal to 1\s+at \["limits"\]\["concurrency"\]/
        assert.match(yield* dies(jobs.start(Patient, undefined, { limits: { concurrency: 0 } })), concurrency)
        assert.match(yield* dies(jobs.set(id, { limits: { concurrency: 0 } })), concurrency)
        assert.match(yield* dies(jobs.set(id, { priority: 0.5 })), /an integer\s+at \["priority"\]/)
        assert.include(yield* dies(jobs.set(id, { priority: 0.5 })), `What is set of job ${id} does not match`)
        const saving = yield* jobs.start(Saving, undefined)
        yield* TestClock.adjust("1 second")
        const error = yield* Effect.flip(saving.await)
        assert.match(error.message, /Checkpoint "page" can't be saved: Expected an integer/)
      }).pipe(fresh))

    it.effect("accepts nothing once it was shut down, also where that was asked for before", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager([Double], Double.toLayer(({ n }) => Effect.succeed(n * 2)))
        const starting = jobs.start(Double, { n: 1 })
        yield* jobs.shutdown

        const error = yield* Effect.flip(starting)

        assert.strictEqual(error._tag, "JobManagerError")
        assert.strictEqual(error._tag === "JobManagerError" ? error.reason._tag : undefined, "ShuttingDown")
        assert.match(error.message, /the manager is shutting down/)
      }).pipe(fresh))

    it.effect("runs the more urgent first, and not more than it may", () =>
      Effect.gen(function*() {
        const order: Array<number> = []
        const { jobs } = yield* manager(
          [Double],
          Double.toLayer(({ n }) => Effect.as(Effect.andThen(Effect.sync(() => order.push(n)), Effect.sleep(1000)), n)),
          { concurrency: 1 }
        )
        yield* jobs.start(Double, { n: 1 })
        yield* TestClock.adjust(1)
        yield* jobs.start(Double, { n: 2 })
        yield* TestClock.adjust(1)
        yield* jobs.start(Double, { n: 3 })
        yield* jobs.start(Double, { n: 4 }, { priority: 1 })
        yield* TestClock.adjust(900)
        assert.deepStrictEqual(order, [1])
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual(order, [1, 4, 2, 3])
      }).pipe(fresh))

    it.effect("obeys limits that another process sets while it runs, within a second, and keeps them", () =>
      Effect.gen(function*() {
        let running = 0
        let moved = 0
        const handle = Effect.gen(function*() {
          running++
          yield* throttle(1000)
          moved += 1000
          yield* Effect.sleep(100)
          running--
        })
        const tasks = WriteTasks.toLayer({ "test/Write": () => Effect.onInterrupt(handle, () => Effect.void) })
        const Endless = Job.make("test/Endless", {})
        const program = Endless.toLayer(() =>
          TaskDispatcher.use((_) => _.fanOut("writes", Write, numbers(100_000), { concurrency: 12 })).pipe(
            Effect.asVoid,
            Effect.orDie,
            Effect.provide(tasks)
          )
        )
        const { close, jobs } = yield* manager([Endless], program)
        const { jobs: other } = yield* manager([Endless], program, { claim: "none" })
        const { id } = yield* jobs.start(Endless, undefined, { limits: { concurrency: 9 } })
        yield* TestClock.adjust("1 second")
        assert.strictEqual(running, 9)
        yield* other.set(id, { limits: { concurrency: 2 } })
        yield* TestClock.adjust("1 second")
        assert.strictEqual(running, 2)
        yield* other.set(id, { limits: { bytesPerSecond: 5000 }, priority: 1 })
        yield* TestClock.adjust("1 second")
        const before = moved
        yield* TestClock.adjust("10 seconds")
        assert.closeTo(moved - before, 50_000, 2500)

        // The next owner holds it to the same.
        yield* close
        yield* manager([Endless], program)
        yield* TestClock.adjust("20 seconds")
        const { limits, priority } = yield* other.get(id)
        assert.deepStrictEqual([limits, priority], [{ concurrency: 2, bytesPerSecond: 5000 }, 1])
        const again = moved
        yield* TestClock.adjust("10 seconds")
        assert.closeTo(moved - again, 50_000, 2500)
        yield* other.set(id, { limits: { bytesPerSecond: 1e9, concurrency: 100 } })
        yield* TestClock.adjust("1 second")
        assert.isAtLeast(running, 2)
        yield* other.cancel(id)
        yield* TestClock.adjust("1 second")
        const refused = yield* Effect.flip(other.set(id, { priority: 0 }))
        assert.include(refused.message, "any more")
        const lines = yield* Stream.runCollect(other.logs(id))
        assert.include(lines.map(({ message }) => message), "Set priority 1, bytesPerSecond 5000")
      }).pipe(fresh))

    it.effect("gives the next permits to the more urgent of two jobs, and does not let the other one starve", () =>
      Effect.gen(function*() {
        const done = { high: 0, low: 0 }
        const Endless = Job.make("test/Endless", { payload: Schema.Literals(["high", "low"]) })
        const program = Endless.toLayer((name) => {
          const tasks = WriteTasks.toLayer({
            "test/Write": () =>
              Effect.andThen(
                Effect.sleep(100),
                Effect.sync(() => {
                  done[name]++
                })
              )
          })
          return TaskDispatcher.use((_) => _.fanOut("writes", Write, numbers(100_000), { concurrency: 20 })).pipe(
            Effect.asVoid,
            Effect.orDie,
            Effect.provide(tasks)
          )
        })
        const { jobs } = yield* manager([Endless], program)
        const low = yield* jobs.start(Endless, "low", { priority: -1 })
        yield* TestClock.adjust("2 seconds")
        assert.isAtLeast(done.low, 250)
        yield* jobs.start(Endless, "high", { priority: 1 })
        yield* TestClock.adjust("1 second")
        const before = { ...done }
        yield* TestClock.adjust("10 seconds")
        assert.isAtLeast(done.high - before.high, 1500)
        assert.isAtLeast(done.low - before.low, 3)
        // Who is made as urgent as the other has half of it.
        yield* jobs.set(low.id, { priority: 1 })
        yield* TestClock.adjust("1 second")
        const even = { ...done }
        yield* TestClock.adjust("5 seconds")
        assert.closeTo(done.low - even.low, 400, 20)
      }).pipe(fresh))

    it.effect("looks at a few of the many jobs that wait", () =>
      Effect.gen(function*() {
        const read: Array<number> = []
        const Short = Job.make("test/Short", { payload: Schema.Number })
        const { jobs } = yield* manager([Short], Short.toLayer(() => Effect.sleep("1 second")), { concurrency: 2 })
          .pipe(
            Effect.updateService(JobStore.JobStore, (store) => ({
              ...store,
              list: () => Effect.die("lists jobs"),
              due: (filter) => Effect.tap(store.due(filter), (due) => Effect.sync(() => read.push(due.length)))
            }))
          )
        const store = yield* JobStore.JobStore
        for (let i = 0; i < 100; i++) {
          yield* store.insert(Records.job(`unknown ${i}`, { priority: 9, availableAt: 0 }))
          yield* store.insert(Records.job(`newer ${i}`, { name: Short.name, version: 2, priority: 8, availableAt: 0 }))
          yield* store.insert(Records.job(`short ${i}`, { name: Short.name, payload: i, availableAt: 0 }))
        }

        yield* TestClock.adjust("9500 millis")

        assert.isAtMost(Math.max(...read), 18)
        const done = yield* store.list({ states: ["Completed"], limit: 1000 })
        assert.deepStrictEqual(done.map(({ payload }) => payload).toReversed(), Array.from({ length: 18 }, (_, i) => i))
        yield* jobs.shutdown
      }).pipe(fresh))

    it.effect("runs as many jobs of a name as it may, and others beside them", () =>
      Effect.gen(function*() {
        const read: Array<number> = []
        const Slow = Job.make("test/Slow", { payload: Schema.Int })
        const Quick = Job.make("test/Quick", { payload: Schema.Int })
        const programs = Layer.merge(
          Slow.toLayer(() => Effect.sleep("10 seconds")),
          Quick.toLayer(() => Effect.sleep("1 second"))
        )
        const options = { concurrency: 4, concurrencyByName: { "test/Slow": 1 } }
        const { jobs } = yield* manager([Slow, Quick], programs, options).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            due: (filter) => Effect.tap(store.due(filter), (due) => Effect.sync(() => read.push(due.length)))
          }))
        )
        yield* jobs.startAll(Slow, Array(100).keys(), { priority: 5 })
        yield* jobs.startAll(Quick, Array(9).keys())
        yield* TestClock.adjust("5 seconds")

        const count = (name: string, state: JobStore.JobRecord["state"]["_tag"]) =>
          Effect.map(jobs.list({ names: [name], states: [state], limit: 1000 }), ({ length }) => length)
        assert.strictEqual(yield* count("test/Slow", "Running"), 1)
        assert.strictEqual(yield* count("test/Quick", "Completed"), 9)
        assert.isAtMost(Math.max(...read), 20)
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* count("test/Slow", "Running"), 1)
        assert.closeTo(yield* count("test/Slow", "Completed"), 3, 0)
        yield* jobs.shutdown
      }).pipe(fresh))

    it.effect.each<readonly [string, () => unknown]>([
      ["nothing, since it throws", () => {
        throw new Error("can't be lifted")
      }],
      ["nothing", () => undefined],
      ["a field without a value", () => ({ field: undefined })],
      ["a number that is none", () => [Number.NaN]],
      ["a bigint", () => 1n]
    ])("runs what waits behind jobs whose migration gives %s", ([, migrate]) =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        for (let i = 0; i < 50; i++) {
          yield* store.insert(
            Records.job(`broken ${i}`, { name: "test/Lifted", payload: i, priority: 1, availableAt: 0 })
          )
        }
        const Lifted = Job.make("test/Lifted", {
          version: 2,
          // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a migration that gives other than JSON
          migrations: { 1: { payload: migrate as () => Schema.Json } }
        })
        const { jobs } = yield* manager([Lifted], Lifted.toLayer(() => Effect.void), { concurrency: 1 })
        const { id } = yield* jobs.start(Lifted, undefined)

        yield* TestClock.adjust("5 seconds")

        assert.strictEqual(yield* stateOf(jobs, id), "Completed")
        assert.strictEqual((yield* jobs.list({ states: ["Queued"] })).length, 50)
      }).pipe(fresh))

    it.effect("claims only what it is told to", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager([Double], Double.toLayer(({ n }) => Effect.succeed(n)), { claim: "none" })
        const one = yield* jobs.start(Double, { n: 1 })
        const two = yield* jobs.start(Double, { n: 2 })
        yield* jobs.claim(two.id)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* stateOf(jobs, one.id), "Queued")
        assert.strictEqual(yield* two.await, 2)
      }).pipe(fresh))

    it.effect("shows a watcher in another process every change, and ends with the job", () =>
      Effect.gen(function*() {
        const { jobs } = yield* manager(
          [Double],
          Double.toLayer(({ n }) =>
            Effect.gen(function*() {
              const { log } = yield* JobContext
              for (let i = 0; i < 3; i++) {
                yield* Effect.sleep("1 second")
                yield* log("Info", `step ${i}`)
              }
              return n
            })
          )
        )
        const { jobs: other } = yield* manager([], Layer.empty, { claim: "none" })
        const { id } = yield* jobs.start(Double, { n: 1 })
        const name = (event: JobManager.JobEvent) =>
          event._tag === "State"
            ? event.record.state._tag
            : event._tag === "Log"
            ? event.entry.message
            : event._tag
        const watching = yield* Effect.forkChild(Stream.runCollect(other.watch(id)))
        yield* TestClock.adjust("2500 millis")
        const late = yield* Effect.forkChild(Stream.runCollect(other.watch(id)))
        yield* TestClock.adjust("1 minute")
        const seen = (yield* Fiber.join(watching)).map(name)
        assert.deepStrictEqual((yield* Fiber.join(late)).map(name), [
          "Running",
          "Progress",
          "step 2",
          "Completed",
          "Completed"
        ])
        assert.deepStrictEqual(seen.filter((_) => !_.startsWith("Started")), [
          "Running",
          "Progress",
          "step 0",
          "step 1",
          "step 2",
          "Completed",
          "Completed"
        ])
      }).pipe(fresh))

    it.effect.each([[1, "a task"], [2, "2 tasks"], [0, undefined]] as const)(
      "tells of dispatched tasks that have not ended with the program: %d",
      ([count, told]) =>
        Effect.gen(function*() {
          const { jobs } = yield* manager(
            [Double],
            Double.toLayer(() =>
              Effect.gen(function*() {
                const { dispatch } = yield* TaskDispatcher
                const ended = yield* dispatch(Item, { n: 0 })
                for (let n = 0; n < count; n++) yield* dispatch(Item, { n: 10 })
                yield* ended.await
                return 0
              })
            ).pipe(Layer.provide(Tasks.toLayer({ "test/Item": ({ n }) => Effect.sleep(n) })))
          )
          const { id } = yield* jobs.start(Double, { n: 1 })
          yield* TestClock.adjust(1)
          yield* settle
          assert.strictEqual(yield* stateOf(jobs, id), "Completed")
          const lines = yield* Stream.runCollect(jobs.logs(id))
          const errors = lines.flatMap(({ level, message }) => level === "Error" ? [message] : [])
          assert.deepStrictEqual(
            errors,
            told === undefined ? [] : [
              `Its program has ended before ${told} that it has dispatched, which did not end: await the handle of ` +
              "each task"
            ]
          )
        }).pipe(fresh)
    )

    it.effect("shows what a program and its tasks add, while they run and after", () =>
      Effect.gen(function*() {
        const pages = (n: number) =>
          Effect.gen(function*() {
            yield* Progress.add("pages", n)
            yield* Effect.sleep("10 seconds")
            yield* Progress.add("pages", n)
          })
        const { jobs } = yield* manager(
          [Double],
          Double.toLayer(() =>
            Effect.gen(function*() {
              const { dispatch, run } = yield* TaskDispatcher
              yield* Progress.total("pages", 222)
              yield* Progress.add("pages", 1)
              const handle = yield* dispatch(Item, { n: 10 })
              yield* Effect.orDie(run(Item, { n: 100 }))
              yield* handle.await
              yield* Progress.add("pages", 1)
              return 0
            })
          ).pipe(Layer.provide(Tasks.toLayer({ "test/Item": ({ n }) => pages(n) })))
        )
        const { id } = yield* jobs.start(Double, { n: 1 })
        const shown = Effect.map(jobs.progress(id), ({ totals, units }) => [units["pages"], totals["pages"]])

        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual(yield* shown, [111, 222])

        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "Completed")
        assert.deepStrictEqual(yield* shown, [222, 222])
      }).pipe(fresh))

    const busy = new JobStoreError({
      reason: new StorageFailure({ operation: "write", problem: "Busy", cause: "busy" })
    })
    it.effect.each([
      { why: "what was added before is being stored", pages: 2, failures: 0 },
      { why: "it could not be stored before", pages: 1, failures: 1 }
    ])("stores what a program has added by its end also where $why", ({ failures, pages }) =>
      Effect.gen(function*() {
        let beats = 0
        const add = Effect.andThen(Progress.add("pages", 1), Effect.sleep("1 second"))
        const program = Effect.as(Effect.repeat(add, { times: pages - 1 }), 0)
        const { jobs } = yield* manager([Double], Double.toLayer(() => program)).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            beat: (...asked) =>
              Effect.suspend(() =>
                beats++ < failures ? Effect.fail(busy) : Effect.delay(store.beat(...asked), "2 seconds")
              )
          }))
        )
        const { id } = yield* jobs.start(Double, { n: 1 })
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* stateOf(jobs, id), "Completed")
        assert.deepStrictEqual((yield* jobs.progress(id)).units, { pages })
      }).pipe(fresh))

    it.effect("lists what failed of a fan-out, and runs only that again", () =>
      Effect.gen(function*() {
        const runs: Array<number> = []
        const { jobs } = yield* manager(
          [Many],
          many((n) => {
            runs.push(n)
            return n % 5 === 0 && runs.length <= 20 ? Effect.fail(new Broken({ what: `${n}` })) : Effect.void
          })
        )
        const handle = yield* jobs.start(Many, undefined)
        const watching = yield* Effect.forkChild(Stream.runCollect(handle.watch))
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* handle.await, 16)
        assert.strictEqual(yield* stateOf(jobs, handle.id), "CompletedWithErrors")
        const rows = yield* Stream.runCollect(jobs.outcomes(handle.id, ["Failed"]))
        assert.deepStrictEqual(rows.map(({ cursor }) => cursor), ["0", "5", "10", "15"])
        const events = yield* Fiber.join(watching)
        assert.deepStrictEqual(events.filter(({ _tag }) => _tag === "Item").length, 4)
        const progress = yield* jobs.progress(handle.id)
        assert.deepStrictEqual([progress.tally.done, progress.tally.failed, progress.totals["items"]], [16, 4, 20])
        runs.push(-1)
        yield* jobs.retry(handle.id)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(runs.slice(21).toSorted((a, b) => a - b), [0, 5, 10, 15])
        assert.deepStrictEqual((yield* jobs.get(handle.id)).state, { _tag: "Completed", attempt: 2, tries: 0 })
        assert.strictEqual(yield* handle.await, 20)
      }).pipe(fresh))

    it.effect("gives a program what its job has recorded, in earlier runs too", () =>
      Effect.gen(function*() {
        const Reading = Job.make("test/Reading", { success: Schema.Array(Schema.String) })
        let isMended = false
        const { jobs } = yield* manager(
          [Reading],
          Reading.toLayer(() =>
            Effect.gen(function*() {
              yield* (yield* TaskDispatcher).fanOut("items", Item, numbers(6), { keep: "all" })
              const rows = yield* Stream.runCollect((yield* JobContext).outcomes(["Done"]))
              return rows.map(({ cursor }) => cursor).toSorted()
            })
          ).pipe(Layer.provide(Tasks.toLayer({
            "test/Item": ({ n }) => n === 3 && !isMended ? Effect.fail(new Broken({ what: "3" })) : Effect.void
          })))
        )
        const handle = yield* jobs.start(Reading, undefined)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* handle.await, ["0", "1", "2", "4", "5"])
        isMended = true
        yield* jobs.retry(handle.id)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(yield* handle.await, ["0", "1", "2", "3", "4", "5"])
      }).pipe(fresh))

    it.effect("goes on with a fan-out that was paused, and with one whose process was shut down", () =>
      Effect.gen(function*() {
        const runs: Array<number> = []
        const program = many((n) => Effect.sync(() => runs.push(n)).pipe(Effect.delay(200)))
        const first = yield* manager([Many], program, { shutdownDeadline: "5 seconds" })
        const { id } = yield* first.jobs.start(Many, undefined)
        yield* TestClock.adjust("450 millis")
        yield* first.jobs.pause(id)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual(yield* stateOf(first.jobs, id), "Paused")
        const before = runs.length
        assert.isTrue(before > 0 && before < 20)
        yield* first.jobs.resume(id)
        yield* TestClock.adjust("50 millis")
        const closing = yield* Effect.forkChild(first.close)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(closing)
        assert.isTrue(runs.length > before && runs.length < 20)
        const second = yield* manager([Many], program)
        const handle = yield* second.jobs.attach(Many, id)
        yield* TestClock.adjust("3 seconds")
        assert.strictEqual(yield* handle.await, 20)
        assert.deepStrictEqual(runs.toSorted((a, b) => a - b), Array.from({ length: 20 }, (_, n) => n))
      }).pipe(fresh))

    it.effect("ends a run at once whose store has no space, says so, and goes on when there is some", () =>
      Effect.gen(function*() {
        const full = { now: ["flush" as const] as Array<"flush"> }
        const runs: Array<number> = []
        const reasons: Array<Option.Option<Interrupter.Reason>> = []
        const untilStopped = Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check)).pipe(
          Effect.ensuring(Effect.map(Interrupter.reason, (reason) => reasons.push(reason)))
        )
        const { jobs } = yield* manager(
          [Many],
          many((n) => {
            runs.push(n)
            return n < 2 && full.now.length > 0 ? Effect.orDie(untilStopped) : Effect.sleep(10)
          })
        ).pipe(Effect.updateService(JobStore.JobStore, (store) => fullUp(store, full)))
        const handle = yield* jobs.start(Many, undefined)
        const { jobs: other } = yield* manager([], Layer.empty, { claim: "none" })
        const awaiting = yield* Effect.forkChild(handle.await)
        const watching = yield* Effect.forkChild(Stream.runDrain(handle.watch))
        const elsewhere = yield* Effect.flatMap(other.attach(Many, handle.id), (_) => Effect.forkChild(_.await))

        yield* TestClock.adjust("1 second")

        for (const fiber of [awaiting, watching]) {
          assert.match(String(fiber.pollUnsafe()), /^Failure.*no space is left/s)
        }
        assert.deepStrictEqual(reasons, [Option.some("LeaseLost"), Option.some("LeaseLost")])
        const before = runs.length
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(runs.length, before)
        const stopped = yield* jobs.get(handle.id)
        assert.deepStrictEqual([stopped.state._tag, stopped.token], ["Running", 1])
        assert.isUndefined(elsewhere.pollUnsafe())

        // Five times in a row nothing can be recorded, and the job is not given up for it.
        yield* TestClock.adjust("90 seconds")
        const again = yield* jobs.get(handle.id)
        assert.deepStrictEqual([again.state._tag, again.ownersLost], ["Running", 0])
        assert.isAbove(again.token, 5)
        full.now = []
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(yield* handle.await, 20)
        assert.strictEqual(yield* Fiber.join(elsewhere), 20)
      }).pipe(fresh))

    it.effect("ends a run whose program can't save its own checkpoint, whatever that makes of it", () =>
      Effect.gen(function*() {
        const own = Checkpoint.make("own", Schema.Number)
        const Saving = Job.make("test/Saving", {})
        const { jobs } = yield* manager(
          [Saving],
          Saving.toLayer(() => Effect.andThen(Effect.ignore(own.save(1)), Effect.never))
        ).pipe(Effect.updateService(JobStore.JobStore, (store) => fullUp(store, { now: ["saveOwnCheckpoint"] })))
        const handle = yield* jobs.start(Saving, undefined)
        const awaiting = yield* Effect.forkChild(handle.await)

        yield* TestClock.adjust("3 seconds")

        assert.match(String(awaiting.pollUnsafe()), /^Failure.*no space is left/s)
      }).pipe(fresh))

    it.effect("goes on with a fan-out once its checkpoint can be read, whatever the program makes of that", () =>
      Effect.gen(function*() {
        const Sending = Job.make("test/Sending", {})
        const sent: Array<number> = []
        const letters = TaskDispatcher.use((_) =>
          _.forEach("letters", [1, 2], (n) => Effect.sync(() => void sent.push(n)), { success: Schema.Void })
        )
        let isReadable = false
        const { jobs } = yield* manager([Sending], Sending.toLayer(() => Effect.ignore(letters))).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            checkpoint: (id, fanOut) =>
              isReadable ? store.checkpoint(id, fanOut) : Effect.succeedSome("no checkpoint of this version")
          }))
        )
        const handle = yield* jobs.start(Sending, undefined)
        const awaiting = yield* Effect.forkChild(handle.await)
        yield* TestClock.adjust("3 seconds")
        assert.match(String(awaiting.pollUnsafe()), /^Failure.*is damaged or not a job store/s)
        assert.deepStrictEqual([yield* stateOf(jobs, handle.id), sent], ["Running", []])

        isReadable = true
        yield* TestClock.adjust("30 seconds")

        assert.deepStrictEqual([yield* stateOf(jobs, handle.id), sent], ["Completed", [1, 2]])
      }).pipe(fresh))

    it.effect("says that an end can't be recorded, and records it as soon as it can", () =>
      Effect.gen(function*() {
        const full = { now: ["end" as const] as Array<"end"> }
        let runs = 0
        const { jobs } = yield* manager([Double], Double.toLayer(({ n }) => Effect.sync(() => (runs++, n * 2)))).pipe(
          Effect.updateService(JobStore.JobStore, (store) => fullUp(store, full))
        )
        const handle = yield* jobs.start(Double, { n: 4 })
        yield* TestClock.adjust("1 second")
        assert.include(String(yield* Effect.flip(handle.await)), "no space is left")

        full.now = []
        yield* TestClock.adjust("1 second")

        assert.strictEqual(yield* handle.await, 8)
        assert.strictEqual(runs, 1)
      }).pipe(fresh))

    it.effect("tells those who wait for a job that it could not be claimed for two seconds", () =>
      Effect.gen(function*() {
        const reason = new StorageFailure({ operation: "write", problem: "Full", cause: "full" })
        let isFull = true
        const { jobs } = yield* manager([Double], Double.toLayer(({ n }) => Effect.succeed(n * 2))).pipe(
          Effect.updateService(JobStore.JobStore, (store) => ({
            ...store,
            put: (record, line, renames) =>
              isFull && record.state._tag === "Running"
                ? Effect.fail(new JobStoreError({ reason }))
                : store.put(record, line, renames)
          }))
        )
        const handle = yield* jobs.start(Double, { n: 4 })
        const waiting = yield* Effect.forEach([handle.await, Stream.runDrain(handle.watch)], (_) => Effect.forkChild(_))
        const ends = () => waiting.map((fiber) => String(fiber.pollUnsafe()))

        yield* TestClock.adjust("1800 millis")
        assert.deepStrictEqual(ends(), ["undefined", "undefined"])
        yield* TestClock.adjust("600 millis")
        for (const end of ends()) assert.match(end, /^Failure.*no space is left/s)

        isFull = false
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* handle.await, 8)
      }).pipe(fresh))

    it.effect("fails a program that asks a store for what is not there", () =>
      Effect.gen(function*() {
        const Asking = Job.make("test/Asking", {})
        const { jobs } = yield* manager(
          [Asking],
          Asking.toLayer(() => JobStore.JobStore.use((store) => Effect.asVoid(store.get(JobId.make("nobody"))))).pipe(
            Layer.provide(Layer.succeed(JobStore.JobStore, yield* JobStore.JobStore))
          )
        )
        const { id } = yield* jobs.start(Asking, undefined)

        yield* TestClock.adjust("1 second")

        assert.strictEqual(yield* stateOf(jobs, id), "Failed")
      }).pipe(fresh))
  })

/** What a watcher sees of one life of a job, with the times at which things were recorded. */
const story = Effect.gen(function*() {
  const { jobs } = yield* manager(
    [Many],
    many((n) => Effect.delay(n % 3 === 0 ? Effect.fail(new Broken({ what: `${n}` })) : Effect.void, 30 + 7 * (n % 4)))
  )
  const { id, watch } = yield* jobs.start(Many, undefined)
  const watching = yield* Effect.forkChild(Stream.runCollect(watch))
  yield* TestClock.adjust("100 millis")
  yield* jobs.pause(id)
  yield* TestClock.adjust("1 second")
  yield* jobs.resume(id)
  yield* TestClock.adjust("5 seconds")
  return (yield* Fiber.join(watching)).map((event) => {
    switch (event._tag) {
      case "State":
        return `${event.record.updatedAt} ${event.record.state._tag}`
      case "Progress":
        return `${event.progress.tally.done} done, ${event.progress.tally.failed} failed`
      case "Item":
        return `${event.row.at} ${event.row.key} ${event.row.outcome._tag}`
      case "Log":
        return `${event.entry.at} ${event.entry.message}`
    }
  })
})

it.effect("a lease is over as soon as one of two clocks says so, and stays so", () =>
  Effect.gen(function*() {
    const own = yield* Clock.Clock
    for (const name of ["wall", "monotonic"] as const) {
      const passed = { wall: 0, monotonic: 0 }
      const clock = {
        ...own,
        currentTimeMillisUnsafe: () => passed.wall,
        monotonicTimeNanosUnsafe: () => BigInt(passed.monotonic) * 1_000_000n
      }
      const awake = new AwakeTime(clock, 200)
      const lease = new JobLease({
        job: JobId.make("job"),
        token: 1,
        clock,
        awake,
        ttlMillis: 15_000,
        since: awake.momentUnsafe(),
        onLost: () => {}
      })
      passed[name] = 13_499
      assert.isTrue(lease.isHeldUnsafe())
      passed[name] = 13_500
      assert.isFalse(lease.isHeldUnsafe())
      passed[name] = 0
      assert.isFalse(lease.isHeldUnsafe())
    }
  }))

it.effect("tells the same story twice, from memory and from SQLite", () =>
  Effect.gen(function*() {
    const inMemory = Effect.scoped(story).pipe(Effect.provide(Layer.fresh(MemoryJobStore.layer)))
    const onSqlite = Effect.scoped(story).pipe(
      Effect.provide(Layer.fresh(Node.layerSqlite({ filename: ":memory:" })))
    )
    const [first, second, third] = yield* Effect.all([inMemory, inMemory, onSqlite].map((story) =>
      // Each with a clock of its own, which begins at 0.
      Effect.provide(story, Layer.fresh(TestClock.layer()))
    ))
    assert.isTrue((first ?? []).length > 15)
    assert.deepStrictEqual(second, first)
    assert.deepStrictEqual(third, first)
  }))

it("refuses a job whose migration gives two fan-outs the same name", () => {
  const make = (name: string) => () =>
    Job.make("test/Merged", { version: 2, migrations: { 1: { fanOuts: { a: { name }, b: {} } } } })

  assert.throws(make("b"), /Migration 1 of job "test\/Merged"/)
  assert.strictEqual(make("c")().version, 2)
})

contract("in memory", MemoryJobStore.layer)
contract("on SQLite", Node.layerSqlite({ filename: ":memory:" }))
