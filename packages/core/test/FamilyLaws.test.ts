import { assert, describe, it } from "@effect/vitest"
import * as JobState from "@fanout/core/JobState"
import type * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import * as FamilyWorld from "./FamilyWorld.ts"

const arbitrary = { runs: runs(20), size: 40 }

/** Each world has a clock and a store of its own. */
const alone = <E2>(store: Layer.Layer<JobStore.JobStore, E2>) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.scoped(effect).pipe(
    Effect.provide(Layer.fresh(store)),
    Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" })))
  )

const familyLaws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the laws of families (${backend})`, () => {
    it.effect.prop(
      "whatever happens, all jobs of a family end, in no more places than there are, and none runs that is over",
      { world: FamilyWorld.World },
      ({ world }) =>
        Effect.map(alone(store)(FamilyWorld.run(world)), ({ wrong }) => assert.strictEqual(wrong.join("\n"), "")),
      { arbitrary }
    )

    it.effect.prop(
      "a family comes to the same, and each of it is started once, whatever stops it on the way",
      { world: FamilyWorld.World },
      ({ world }) =>
        Effect.gen(function*() {
          const { jobs, result, wrong } = yield* alone(store)(FamilyWorld.run(FamilyWorld.withoutCancels(world)))

          assert.strictEqual(wrong.join("\n"), "")
          assert.strictEqual(result, FamilyWorld.expected(world.root))
          const [least, most] = FamilyWorld.sizesOf(world.root)
          assert.isTrue(least <= jobs.length && jobs.length <= most, `${jobs.length} jobs`)
        }),
      { arbitrary }
    )

    it.effect.prop(
      "a pause or a cancel of a root reaches all of its family, and nothing else",
      {
        world: FamilyWorld.World,
        what: Schema.Literals(["pause", "cancel"]),
        at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 900 }))
      },
      ({ at, what, world }) =>
        Effect.gen(function*() {
          const { jobs, root, running, seen } = yield* alone(store)(FamilyWorld.askedOnce(world, what, at))

          assert.strictEqual(seen.wrong.join("\n"), "")
          assert.deepStrictEqual(running, [])
          for (const { parent, state } of jobs) {
            if (JobState.isTerminal(state)) continue
            assert.strictEqual(what, "pause")
            assert.deepInclude(state, { _tag: "Paused", by: Option.isNone(parent) ? "person" : "parent" })
          }
          assert.isTrue(JobState.isTerminal(root.state))
        }),
      { arbitrary }
    )
  })

familyLaws("memory", MemoryJobStore.layer)
familyLaws("SQLite", layerSqlite({ filename: ":memory:" }))

describe("the laws of families", () => {
  it.effect.prop(
    "the same happens again, from memory and from SQLite",
    { world: FamilyWorld.World },
    ({ world }) =>
      Effect.gen(function*() {
        const inMemory = alone(MemoryJobStore.layer)(FamilyWorld.run(world))
        const onSqlite = alone(layerSqlite({ filename: ":memory:" }))(FamilyWorld.run(world))

        const first = yield* inMemory
        const second = yield* inMemory
        const third = yield* onSqlite

        assert.deepStrictEqual([second.story, second.result], [first.story, first.result])
        assert.deepStrictEqual([third.story, third.result], [first.story, first.result])
      }),
    { arbitrary }
  )
})
