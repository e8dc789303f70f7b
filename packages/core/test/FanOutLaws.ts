import { assert } from "@effect/vitest"
import type { Ended, Parts } from "@fanout/core/FanOut"
import { Interrupted } from "@fanout/core/Interrupter"
import * as JobId from "@fanout/core/JobId"
import type * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import * as Progress from "@fanout/core/Progress"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"

/** What each element of a generated program does, in the order of its source. */
export const Step = Schema.Literals([
  "done",
  "yields",
  "sleeps",
  "fails",
  "skips",
  "dies",
  "hasFailed",
  "group",
  "groupWell",
  "groupDies",
  "groupOpens",
  "groupOpenFails",
  "open",
  "openSleeps",
  "openFails",
  "openFailsLate",
  "close"
])
export type Step = typeof Step.Type

export const Program = Schema.Struct({
  steps: Schema.Array(Step).check(Schema.isMaxLength(60)),
  concurrency: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })),
  flushEvery: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 })),
  /** Whether what failed at first is well when it is retried. */
  heals: Schema.Boolean,
  /** How run after run is stopped: the store dies after so many writes, or it is paused after so many visits. */
  stops: Schema.Array(Schema.Struct({
    how: Schema.Literals(["crash", "pause"]),
    after: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 6 }))
  })).check(Schema.isMaxLength(5))
})
export type Program = typeof Program.Type

class Bad extends Schema.TaggedError<Bad>("Bad")("Bad", { n: Schema.Number }) {}
const Payload = Schema.Struct({ n: Schema.Number, step: Step })
type Payload = typeof Payload.Type
const Visit = Task.make("test/Visit", {
  payload: Payload,
  success: Step,
  error: Bad,
  key: ({ n }) => String(n),
  pool: "io"
})
class Tasks extends RpcGroup.make(Visit) {}

const isGroup = (step: Step): boolean => step.startsWith("group")
/** What a group that is skipped counts. */
const groupSize = 4

/** The elements of a program, its brackets closed, and the cursor of the bracket each is in. */
const elementsOf = (steps: ReadonlyArray<Step>) => {
  const elements: Array<Element<Payload>> = []
  const inside: Array<number | undefined> = []
  const open: Array<number> = []
  const add = (element: Element<Payload>, bracket: number | undefined) => {
    elements.push(element)
    inside.push(bracket)
  }
  for (const step of [...steps, ...steps.map(() => "close" as const)]) {
    const n = elements.length
    const cursor = String(n)
    const payload = { n, step }
    if (step === "close") {
      const bracket = open.pop()
      if (bracket !== undefined) add({ _tag: "After", cursor, payload }, bracket)
    } else if (step.startsWith("open")) {
      add({ _tag: "Item", cursor, payload, opens: true }, open.at(-1))
      open.push(n)
    } else if (step === "hasFailed") {
      const failure = { _tag: "Error", error: {}, message: "the source knows" } as const
      add({ _tag: "Settled", cursor, key: cursor, outcome: { _tag: "Failed", failure } }, open.at(-1))
    } else add({ _tag: "Item", cursor, payload, ...isGroup(step) ? { count: groupSize } : {} }, open.at(-1))
  }
  return { elements, inside }
}

/** What is in the bracket that some groups have, behind what opens it. */
const bracketOf = (n: number): ReadonlyArray<Element<Payload>> => [
  { _tag: "Item", cursor: `${n}.6`, payload: { n: n + 0.6, step: "sleeps" } },
  { _tag: "After", cursor: `${n}.75`, payload: { n: n + 0.75, step: "done" } }
]

/**
 * A group has three things in it and one that is to run by itself; one that dies has that one, and another. Or it has
 * two, and a bracket.
 */
const parts: Parts<Payload, Step> = ({ payload: { n, step } }, value) => {
  if (!isGroup(step)) return undefined
  if (Option.isSome(value) && value.value.startsWith("groupOpen")) {
    const two = { _tag: "Done", value: null, count: 2 } as const
    const opener = { n: n + 0.5, step: value.value === "groupOpens" ? "yields" : "openFails" } as const
    return [
      { _tag: "Settled", cursor: String(n), key: "", outcome: two },
      { _tag: "Item", cursor: `${n}.5`, payload: opener, opens: true },
      ...bracketOf(n)
    ]
  }
  const alone = { _tag: "Item", cursor: `${n}.5`, payload: { n: n + 0.5, step: "yields" } } as const
  if (Option.isNone(value)) return [alone, { _tag: "Item", cursor: `${n}.75`, payload: { n: n + 0.75, step: "done" } }]
  const done = (count: number) =>
    ({ _tag: "Settled", cursor: String(n), key: "", outcome: { _tag: "Done", value: null, count } }) as const
  if (value.value === "groupWell") return [done(3), alone]
  const failure = { _tag: "Error", error: {}, message: "one of them" } as const
  const failed = {
    _tag: "Settled",
    cursor: `${n}.25`,
    key: String(n),
    outcome: { _tag: "Failed", failure },
    retry: { payload: { n: n + 0.25, step: "fails" } }
  } as const
  return [failed, done(2), alone]
}

const healthy: Partial<Record<Step, Step>> = {
  fails: "done",
  dies: "done",
  group: "groupWell",
  groupOpenFails: "groupOpens",
  openFails: "open",
  openFailsLate: "openSleeps"
}

/** A program in which everything that failed is well. */
export const healed = (steps: ReadonlyArray<Step>): ReadonlyArray<Step> => steps.map((step) => healthy[step] ?? step)

/** What a program has to come to, worked out without running it. */
export const expected = (steps: ReadonlyArray<Step>) => {
  const { elements, inside } = elementsOf(steps)
  const dead = new Set<number>()
  const counts = { done: 0, failed: 0, skipped: 0 }
  elements.forEach((element, n) => {
    const bracket = inside[n]
    if (bracket !== undefined && dead.has(bracket)) {
      if (element._tag === "After") return
      counts.skipped += element._tag === "Item" ? element.count ?? 1 : 1
      dead.add(n)
      return
    }
    if (element._tag === "Settled") {
      counts.failed++
      return
    }
    const { step } = element.payload
    if (step.startsWith("openFails")) dead.add(n)
    if (isGroup(step)) {
      counts.done += { group: 3, groupWell: 4, groupOpens: 5 }[step as string] ?? 2
      if (step === "group" || step === "groupOpenFails") counts.failed++
      if (step === "groupOpenFails") counts.skipped++
    } else if (step === "fails" || step === "dies" || dead.has(n)) counts.failed++
    else if (step === "skips") counts.skipped++
    else counts.done++
  })
  return counts
}

/** What happened in all the runs of one job. */
export class Trace {
  readonly runs: Array<Array<number>> = []
  /** Recorded in this attempt, and done in any. */
  readonly acked = new Set<string>()
  readonly done = new Set<string>()
  readonly redone: Array<string> = []
  readonly early: Array<string> = []
  /** What has ended, as far as the present run knows. */
  readonly settled = new Set<number>()
  /** What `onCommit` was given by flushes that succeeded, and by the last one. */
  readonly committed: Array<Ended<Payload, Step>> = []
  given: ReadonlyArray<Ended<Payload, Step>> = []
  checkpointBytes = 0
  /** What was recorded of the job's progress, in this attempt. */
  readonly progress: Array<Progress.Progress> = []
  onVisit: (visits: number) => void = () => {}

  /** Another run knows only what was recorded. */
  nextRun(): void {
    this.runs.push([])
    this.settled.clear()
    for (const cursor of [...this.acked, ...this.done]) this.settled.add(Number(cursor))
  }

  /** The next attempt may run again what failed or was skipped in this one. */
  nextAttempt(): void {
    this.acked.clear()
    this.runs.length = 0
    this.committed.length = 0
    this.progress.length = 0
  }
}

/** A store that from some write on accepts nothing, and tells the trace what it has accepted. */
const mortal = (store: JobStore.JobStore["Service"], writes: number, trace: Trace): JobStore.JobStore["Service"] => {
  let left = writes
  const dead = new JobStoreError({
    reason: new StorageFailure({ operation: "write", problem: "Other", cause: "crashed" })
  })
  const flush: typeof store.flush = (id, flush, onCommit) =>
    left-- <= 0 ? Effect.fail(dead) : Effect.tap(store.flush(id, flush, onCommit), () =>
      Effect.sync(() => {
        trace.committed.push(...trace.given)
        trace.given = []
        trace.progress.push(flush.progress)
        trace.checkpointBytes = Math.max(trace.checkpointBytes, flush.checkpoint.length)
        for (const row of flush.rows) trace.acked.add(row.cursor)
        for (const row of flush.rows) if (row.outcome._tag === "Done") trace.done.add(row.cursor)
      }))
  return { ...store, flush }
}

const handlers = (steps: ReadonlyArray<Step>, trace: Trace, isWell: boolean) => {
  const { elements, inside } = elementsOf(steps)
  return Tasks.toLayer({
    "test/Visit": Effect.fnUntraced(function*({ n, step: planned }) {
      const step = isWell ? healthy[planned] ?? planned : planned
      trace.onVisit(trace.runs.at(-1)?.push(n) ?? 0)
      yield* Progress.add("visits", { group: 2, groupWell: 3, groupOpens: 2, groupOpenFails: 2 }[step as string] ?? 1)
      if (trace.acked.has(String(n)) || trace.done.has(String(n))) trace.redone.push(String(n))
      const bracket = inside[Math.floor(n)]
      // The end of a bracket waits for all in it, everything else for the element that opens its bracket.
      if (step === "close") {
        elements.forEach((element, m) => {
          const { _tag } = element
          if (_tag === "Settled" || inside[m] !== bracket || m === n) return
          const hasParts = isGroup(element.payload.step)
          // A run after a crash knows of those in the place of a group, not of the group.
          const isOpening = hasParts && element.payload.step === "groupOpens"
          const isSettled = hasParts
            ? trace.settled.has(m + 0.5) && (isOpening || trace.settled.has(m) || trace.settled.has(m + 0.75))
            : trace.settled.has(m)
          if (!isSettled || (isOpening && !trace.settled.has(m + 0.75))) trace.early.push(`${n} before ${m}`)
        })
      } else if (bracket !== undefined && !trace.settled.has(bracket)) trace.early.push(`${n} before ${bracket}`)
      const group = elements[Math.floor(n)]
      const waitsFor = bracketOf(Math.floor(n)).flatMap(({ cursor }) => Number(cursor) < n ? [Number(cursor)] : [])
      const isInBracket = n % 1 > 0.5 && group?._tag === "Item" && group.payload.step.startsWith("groupOpen")
      if (isInBracket && ![Math.floor(n) + 0.5, ...waitsFor].every((one) => trace.settled.has(one))) {
        trace.early.push(`${n} before its bracket`)
      }
      if (step === "yields") yield* Effect.yieldNow
      if (step === "sleeps" || step === "openSleeps" || step === "openFailsLate") yield* Effect.sleep("100 millis")
      // In the same turn as the end of the task: what it unblocks runs later.
      trace.settled.add(n)
      if (step === "fails" || step.startsWith("openFails")) return yield* new Bad({ n })
      if (step === "skips") return yield* Task.skip("so it goes")
      if (step === "dies" || step === "groupDies") return yield* Effect.die(new Error("defect"))
      return step
    })
  })
}

const sourceOf = (elements: ReadonlyArray<Element<Payload>>) => (after: Option.Option<string>) =>
  Stream.fromIterable(Option.match(after, {
    onNone: () => elements,
    onSome: (cursor) => {
      const n = Math.floor(Number(cursor))
      return [...cursor === `${n}.5` ? bracketOf(n) : [], ...elements.slice(n + 1)]
    }
  }))

/** Runs one attempt of a program through its crashes to its end. */
export const runThroughCrashes = (
  id: string,
  program: Program,
  trace: Trace,
  { attempt = 1, isWell = false, only }: {
    readonly attempt?: number
    readonly isWell?: boolean
    readonly only?: JobState.Choice
  } = {}
) =>
  Effect.gen(function*() {
    const { concurrency, flushEvery, steps, stops } = program
    if (attempt === 1) yield* runningJob(id)
    const store = yield* JobStore.JobStore
    const { elements } = elementsOf(steps)
    const onCommit = (ended: ReadonlyArray<Ended<Payload, Step>>) =>
      Effect.sync(() => {
        trace.given = ended
      })
    for (const stop of [...stops, undefined]) {
      trace.nextRun()
      const writes = stop?.how === "crash" ? stop.after : Number.POSITIVE_INFINITY
      const fiber = yield* Effect.forkChild(asRun(
        id,
        (signal) => {
          trace.onVisit = (visits) => {
            if (stop?.how === "pause" && visits > stop.after) signal.requestUnsafe("Pause")
          }
          return TaskDispatcher.TaskDispatcher.use((_) =>
            _.fanOut("laws", Visit, sourceOf(elements), { concurrency, flushEvery, keep: "all", parts, onCommit })
          ).pipe(Effect.provide(handlers(steps, trace, isWell)))
        },
        { attempt, only, store: mortal(store, writes, trace) }
      ))
      for (let i = 0; i < 400 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("50 millis")
      if (fiber.pollUnsafe() === undefined) return yield* Effect.die(new Error("the fan-out hangs"))
      const { exit } = yield* Fiber.join(fiber)
      trace.onVisit = () => {}
      if (Exit.isSuccess(exit)) return exit.value
      if (stop?.how === "pause") {
        assert.deepStrictEqual(Exit.findErrorOption(exit), Option.some(new Interrupted({ reason: "Pause" })))
      }
    }
    return yield* Effect.die(new Error("the last run did not succeed"))
  }).pipe(Effect.provide(pools))

/** Checks the laws on what happened. */
export const checkLaws = (program: Program, trace: Trace) => {
  const { concurrency, flushEvery } = program
  const isReplaced = ({ outcome }: Ended<Payload, Step>) => outcome._tag === "Done" && outcome.count === 0
  const cursors = trace.committed.map((ended) => isReplaced(ended) ? `group ${ended.cursor}` : ended.cursor)
  assert.deepStrictEqual(cursors.length, new Set(cursors).size, "what has ended is committed once")
  assert.deepStrictEqual(trace.redone, [], "acked is kept")
  assert.deepStrictEqual(trace.early, [], "brackets hold")
  trace.progress.slice(1).forEach((after, i) => {
    const before = trace.progress[i] ?? Progress.empty
    assert.isAtLeast(after.tally.done, before.tally.done, "what is done stays done")
    assert.isAtLeast(after.units["visits"] ?? 0, before.units["visits"] ?? 0, "progress never goes back")
  })
  const window = concurrency + flushEvery
  trace.runs.forEach((run, i) => {
    const before = new Set(trace.runs.slice(0, i).flat())
    const again = run.filter((n) => before.has(n)).length
    assert.isAtMost(again, window, "a crash costs a window at most")
  })
}

/** What `onCommit` was given, counted. */
export const countCommitted = (trace: Trace) => {
  const counts = { done: 0, failed: 0, skipped: 0 }
  for (const { outcome } of trace.committed) {
    if (outcome._tag === "Done") counts.done += outcome.count ?? 1
    else if (outcome._tag === "Failed") counts.failed++
    else counts.skipped += outcome.count
  }
  return counts
}

export const outcomesOf = (id: string) =>
  Effect.gen(function*() {
    const store = yield* JobStore.JobStore
    return yield* store.outcomes(JobId.make(id), { after: 0, limit: 1000 })
  })
