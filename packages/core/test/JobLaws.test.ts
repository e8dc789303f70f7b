import { assert, describe, it } from "@effect/vitest"
import type { JobEvent } from "@fanout/core/JobHandle"
import type * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import * as JobWorld from "./JobWorld.ts"

const arbitrary = { runs: runs(20), size: 40 }

/** What stops a job, with the reason that everything of it is to see. */
const stops = {
  pause: "Pause",
  cancel: "Cancel",
  shutDown: "Shutdown",
  cutOff: "LeaseLost",
  fail: "LeaseLost",
  freeze: "LeaseLost",
  timeout: "Timeout",
  diskIsFull: "Pause",
  sibling: "Sibling"
} as const
type Stop = keyof typeof stops

const Stopped = Schema.Struct({
  stop: Schema.Literals([
    "pause",
    "cancel",
    "shutDown",
    "cutOff",
    "fail",
    "freeze",
    "timeout",
    "diskIsFull",
    "sibling"
  ]),
  /** When, in steps of 100 ms. */
  at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))
})

/** A world in which nothing but this happens. */
const stoppedOnce = (
  world: JobWorld.World,
  stop: Stop,
  at: number
): JobWorld.World & JobWorld.Inner => {
  const quiet = { ...world, script: [], late: 4 }
  switch (stop) {
    case "timeout":
      return { ...quiet, timeout: at * 100 + 50 }
    case "diskIsFull":
      return { ...quiet, diskIsFullAt: at * 100 + 50 }
    case "sibling":
      return { ...quiet, failFast: true }
    default:
      return { ...quiet, script: [{ after: at, what: stop, at: 0 }] }
  }
}

/** A watcher may miss a state that does not last, but no line of the log. */
const linesOf = (events: ReadonlyArray<JobEvent>): ReadonlyArray<string> =>
  events.flatMap((event) => event._tag === "Log" ? [event.entry.message] : [])

/** What becomes of a job whose program was stopped. */
const outcomes: Record<Stop, (seen: JobWorld.Seen) => void> = {
  pause: ({ events }) => assert.include(linesOf(events), "Paused by person"),
  cancel: ({ cleaned, record }) => assert.deepStrictEqual([record?.state._tag, cleaned], ["Cancelled", [record?.id]]),
  shutDown: ({ events }) => assert.include(linesOf(events), "Stopped with its process"),
  cutOff: ({ owners }) => assert.strictEqual(owners, 2),
  fail: ({ owners }) => assert.strictEqual(owners, 2),
  freeze: ({ owners }) => assert.strictEqual(owners, 2),
  timeout: ({ record }) => assert.strictEqual(record?.state._tag, "Failed"),
  diskIsFull: ({ events }) => assert.include(linesOf(events), "Paused by disk"),
  sibling: ({ record }) => assert.strictEqual(record?.state._tag, "Failed")
}

const jobLaws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the laws of jobs (${backend})`, () => {
    const fresh = Effect.provide(Layer.fresh(store))
    const law = (
      name: string,
      check: (seen: JobWorld.Seen, world: JobWorld.World) => void,
      prepare = (world: JobWorld.World) => world
    ) =>
      it.effect.prop(
        name,
        { world: JobWorld.World },
        ({ world }) => Effect.map(JobWorld.run(prepare(world)), (seen) => check(seen, world)).pipe(fresh),
        { arbitrary }
      )

    law("nothing of a job runs when it has left Running", (seen) => {
      assert.strictEqual(seen.orphans.join("\n"), "")
      assert.isFalse(seen.endless)
    })

    law("only its owner runs a job, records and publishes", (seen) => {
      assert.strictEqual(seen.intruders.join("\n"), "")
    })

    it.effect("a program does not begin where the job was lost between its claim and its start", () =>
      Effect.gen(function*() {
        const item = { millis: 900, isDeaf: false, under: "nothing", end: "done", lingers: false } as const
        const seen = yield* JobWorld.run({
          items: [item, item, item],
          concurrency: 1,
          flushEvery: 1,
          leaves: "nothing",
          isDeaf: false,
          latency: 45,
          script: [{ after: 6, what: "freeze", at: 0 }],
          late: 4
        })

        assert.strictEqual(seen.intruders.join("\n"), "")
        assert.strictEqual(seen.owners, 2)
      }).pipe(fresh))

    law("every stop has a reason that somebody asked for", (seen) => {
      assert.strictEqual(seen.wrongReasons.join("\n"), "")
    })

    law("progress never goes back", (seen) => {
      assert.strictEqual(seen.backwards.join("\n"), "")
    })

    law("of m elements of which n fail, m - n are done and n are listed with their causes", (seen, { items }) => {
      if (seen.record?.state._tag === "Cancelled") return
      const expected = JobWorld.expected(items)
      const { done, failed, skipped } = seen.progress.tally
      assert.deepStrictEqual({ done, failed, skipped }, expected.tally)
      assert.deepStrictEqual(JobWorld.causesOf(seen.rows), expected.causes)
      assert.strictEqual(seen.record?.state._tag, expected.tally.failed > 0 ? "CompletedWithErrors" : "Completed")
    }, JobWorld.withoutFreezing)

    it.effect.prop(
      "one stop is the reason of all that it stops, and of what becomes of the job",
      { world: JobWorld.World, stopped: Stopped },
      ({ stopped: { at, stop }, world }) =>
        Effect.gen(function*() {
          const seen = yield* JobWorld.run(stoppedOnce(world, stop, at))

          assert.strictEqual(seen.wrongReasons.join("\n"), "")
          const reasons = seen.reasons.filter(([, reason]) => reason !== "Timeout" && reason !== undefined)
          for (const [name, reason] of reasons) assert.strictEqual(reason, stops[stop], name)
          if (seen.reasons.some(([name]) => name === "the program")) outcomes[stop](seen)
        }).pipe(fresh),
      { arbitrary }
    )
  })

jobLaws("memory", MemoryJobStore.layer)
jobLaws("SQLite", layerSqlite({ filename: ":memory:" }))

describe("the laws of jobs", () => {
  it.effect.prop(
    "the same happens again, from memory and from SQLite",
    { world: JobWorld.World },
    ({ world }) =>
      Effect.gen(function*() {
        const inMemory = Effect.provide(JobWorld.run(world), Layer.fresh(MemoryJobStore.layer))
        const onSqlite = Effect.provide(JobWorld.run(world), Layer.fresh(layerSqlite({ filename: ":memory:" })))

        const first = JobWorld.storyOf(yield* inMemory)
        const second = JobWorld.storyOf(yield* inMemory)
        const third = JobWorld.storyOf(yield* onSqlite)

        assert.deepStrictEqual(second, first)
        assert.deepStrictEqual(third, first)
      }),
    { arbitrary }
  )
})
